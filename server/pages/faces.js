// SPDX-License-Identifier: Apache-2.0
// A picture with boxes, landmarks and scores over it, and the list of its faces.
import { make, makeSvg } from './common.js';

/** More labels than this would hide the faces. */
const mostLabels = 40;

function percent(value, whole) {
  return `${(100 * value) / whole}%`;
}

/** The overlay's SVG; coordinates are those of the answer, in pixels of the upright picture. */
function overlay(faces, width, height) {
  const drawing = makeSvg('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  faces.forEach((face, index) => {
    const [x1, y1, x2, y2] = face.bbox;
    drawing.append(makeSvg('rect', { x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0), rx: 3, 'data-face': index }));
    for (const [x, y] of face.landmarks || []) drawing.append(makeSvg('path', { d: `M${x} ${y}h0`, 'data-face': index }));
  });
  return drawing;
}

function label(face, index, width, height) {
  const [x1, y1] = face.bbox;
  const text = make('span', { 'data-face': index }, face.prob.toFixed(3));
  text.style.left = percent(Math.max(x1, 0), width);
  text.style.top = percent(Math.max(y1, height * 0.03), height);
  return text;
}

/** The picture below its overlay, or a sentence where the browser cannot show this format. */
export async function pictureWithFaces(file, name, faces) {
  const host = make('div', { className: 'picture' });
  const image = make('img', { src: URL.createObjectURL(file), alt: `${name} with ${faces.length} marked faces` });
  try {
    await image.decode();
  } catch {
    return { host: make('p', { className: 'about' }, 'Your browser cannot show this format; the server can read it.'), width: 0, height: 0 };
  }
  const width = image.naturalWidth, height = image.naturalHeight;
  host.append(image, overlay(faces, width, height));
  if (faces.length <= mostLabels) host.append(...faces.map((face, index) => label(face, index, width, height)));
  return { host, width, height };
}

// ---------------------------------------------------------------- attributes

const part = (value) => (typeof value === 'number' ? ` ${Math.round(100 * value)}%` : '');

/** [name, text] of what the answer tells of a face beyond its place. */
export function attributesOf(face) {
  const told = face.attributes || {}, lines = [];
  const sexAndAge = told.gender_age;
  const gender = sexAndAge ? sexAndAge.gender : [ 'female', 'male' ][face.gender];
  const age = sexAndAge ? sexAndAge.age : face.age;
  if (gender) lines.push(['gender', gender]);
  if (age !== null && age !== undefined) lines.push(['age', `${age} years`]);
  const mask = told.mask ? told.mask.mask : face.mask;
  const probability = told.mask ? told.mask.probability : face.mask_probs && face.mask_probs.mask;
  if (typeof mask === 'boolean') lines.push(['mask', mask ? `mask${part(probability)}` : 'no mask']);
  if (told.liveness) lines.push(['liveness', (told.liveness.live ? 'live' : 'not live') + part(told.liveness.probability)]);
  if (told.quality && told.quality.overall !== null) lines.push(['quality', `quality${part(told.quality.overall)}`]);
  return lines;
}

// ---------------------------------------------------------------- the list

function listed(face, index) {
  const crop = face.facedata ? make('img', { src: `data:image/jpeg;base64,${face.facedata}`, alt: `Face ${index + 1}, aligned`, loading: 'lazy' }) : null;
  const [x1, y1, x2, y2] = face.bbox;
  return make('li', {}, make('button', { type: 'button', 'data-face': index, 'aria-pressed': 'false' }, crop,
    make('span', {}, make('b', {}, face.prob.toFixed(3)), make('small', {}, `${x2 - x1} \u00d7 ${y2 - y1} px`),
      ...attributesOf(face).map(([name, text]) => make('small', { className: `attribute ${name}` }, text)))));
}

export const faceList = (faces) => make('ol', { className: 'faces', 'aria-label': 'Faces, by score' }, ...faces.map(listed));

/** Pointing at a face in one place marks it in the other; choosing one keeps it marked. */
export function linkFaces(card) {
  let kept = null;
  const mark = (index) => {
    for (const element of card.querySelectorAll('[data-face]')) {
      element.classList.toggle('chosen', element.dataset.face === index);
      if (element.tagName === 'BUTTON') element.setAttribute('aria-pressed', String(element.dataset.face === kept));
    }
  };
  const faceOf = (event) => (event.target.closest('[data-face]') || { dataset: { face: null } }).dataset.face;
  for (const name of ['pointerover', 'focusin']) card.addEventListener(name, (event) => mark(faceOf(event) ?? kept));
  for (const name of ['pointerleave', 'focusout']) card.addEventListener(name, () => mark(kept));
  card.addEventListener('click', (event) => {
    const index = faceOf(event);
    if (index === null) return;
    kept = kept === index ? null : index;
    mark(kept);
    if (kept !== null && event.target.tagName === 'rect')
      card.querySelector(`button[data-face="${kept}"]`).scrollIntoView({ block: 'nearest' });
  });
}
