// SPDX-License-Identifier: Apache-2.0
// Photos in, faces out: one request for each picture, a few at a time.
import { Refusal, ask, byId, make, milliseconds, plural, takeFiles, timingsOf, typeOf } from './common.js';
import { faceList, linkFaces, pictureWithFaces } from './faces.js';

const mostAtOnce = 4;
const waiting = [];
let running = 0;

function query() {
  const fields = {
    threshold: byId('threshold').value || '0.6', robust: byId('robust').checked, return_landmarks: true, return_face_data: true,
    extract_embedding: false, attributes: 'mask,liveness,gender_age,quality',
  };
  return new URLSearchParams(fields).toString();
}

/** {picture, timings} that the server answers for a file; throws where it refuses the request or the picture. */
async function extract(file) {
  const answer = await ask(`/v1/extract?${query()}`, { method: 'POST', headers: { 'Content-Type': typeOf(file) }, body: file });
  const body = await answer.json(), [picture] = body.data;
  if (picture.status !== 'ok') throw new Refusal(`The server cannot read this file: ${picture.traceback || 'it does not say why'}.`, answer.status);
  return { picture, body, timings: timingsOf(answer) };
}

function stageBar(timings) {
  const sum = timings.reduce((total, [, time]) => total + time, 0);
  const bar = make('div', { className: 'stages', 'aria-hidden': 'true' }, ...timings.map(([, time], index) => {
    const piece = make('i', { className: `tone${index % 10}` });
    piece.style.flexGrow = String(time / (sum || 1));
    return piece;
  }));
  const legend = make('ul', { className: 'legend', 'aria-label': 'Milliseconds by stage' }, ...timings.map(([name, time], index) =>
    make('li', { 'data-stage': name }, make('i', { className: `tone${index % 10}` }), `${name} ${milliseconds(time)} ms`)));
  return [bar, legend];
}

async function fill(card, file, name) {
  const { picture, body, timings } = await extract(file);
  const { host, width, height } = await pictureWithFaces(file, name, picture.faces);
  const summary = [plural(picture.faces.length, 'face', 'faces'), width ? `${width} \u00d7 ${height} px` : '', `${milliseconds(body.took.total_ms)} ms`];
  card.querySelector('.summary').textContent = summary.filter(Boolean).join(' \u00b7 ');
  const list = picture.faces.length ? faceList(picture.faces)
    : make('p', { className: 'about' }, 'No face reaches the least score. A lower one may find more.');
  const text = make('pre', { tabIndex: 0 }, JSON.stringify(body, (field, value) => (field === 'facedata' ? '...' : value), 1));
  card.append(make('div', { className: 'body' }, host, list), ...stageBar(timings),
    make('details', {}, make('summary', {}, 'What the server answered'), text));
  linkFaces(card);
  byId('photo-news').textContent = `${name}: ${summary[0]}`;
}

async function process({ card, file, name }) {
  try {
    await fill(card, file, name);
  } catch (error) {
    const text = error instanceof Refusal ? error.message : `This page failed: ${error.message}`;
    card.querySelector('.summary').textContent = 'failed';
    card.append(make('p', { className: 'problem', role: 'alert' }, text));
  }
  card.setAttribute('aria-busy', 'false');
}

function startMore() {
  while (running < mostAtOnce && waiting.length > 0) {
    running++;
    process(waiting.shift()).finally(() => {
      running--;
      startMore();
    });
  }
}

function newCard(name) {
  const remove = make('button', { type: 'button', className: 'quiet', 'aria-label': `Remove ${name}` }, 'Remove');
  const card = make('article', { className: 'card photo', 'aria-busy': 'true', 'aria-label': name },
    make('header', {}, make('h2', {}, name), make('p', { className: 'summary' }, 'looking for faces'), remove));
  remove.addEventListener('click', () => {
    for (const image of card.querySelectorAll('img')) URL.revokeObjectURL(image.src);
    card.remove();
    byId('photo-input').focus();
  });
  return card;
}

export function takePhotos(files) {
  const cards = files.map((file) => ({ file, name: file.name || 'pasted picture', card: newCard(file.name || 'pasted picture') }));
  byId('photo-results').prepend(...cards.map((item) => item.card));
  waiting.push(...cards);
  startMore();
}

export function startPhotos() {
  takeFiles(byId('photo-drop'), byId('photo-input'), takePhotos);
  byId('photo-options').addEventListener('submit', (event) => event.preventDefault());
  for (const shown of ['landmarks', 'scores'])
    byId(shown).addEventListener('change', () => byId('photos').classList.toggle(`without-${shown}`, !byId(shown).checked));
}
