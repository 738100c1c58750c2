// SPDX-License-Identifier: Apache-2.0
// Two pictures, one verdict.
import { Refusal, ask, byId, make, makeSvg, takeFiles } from './common.js';

const chosen = { a: null, b: null };
const cropSide = 272;
let newest = 0;

/** The face that was compared, with some of what is around it. */
async function cropOf(file, box) {
  const canvas = make('canvas', { width: cropSide, height: cropSide });
  const [x1, y1, x2, y2] = box, side = 1.35 * Math.max(x2 - x1, y2 - y1);
  const scale = cropSide / side, left = (x1 + x2 - side) / 2, top = (y1 + y2 - side) / 2;
  try {
    const picture = await createImageBitmap(file);
    canvas.getContext('2d').drawImage(picture, -left * scale, -top * scale, picture.width * scale, picture.height * scale);
  } catch { /* a format that the browser cannot show leaves the crop empty */ }
  return canvas;
}

/** Where the cosine lies between -0.2 and 1, and where one person begins. */
function scaleOf(cosine, threshold) {
  const at = (value) => 20 + 360 * Math.min(Math.max((value + 0.2) / 1.2, 0), 1);
  return makeSvg('svg', { class: 'scale', viewBox: '0 0 400 64', role: 'img', 'aria-label': `cosine ${cosine.toFixed(3)}, threshold ${threshold.toFixed(3)}` },
    makeSvg('line', { x1: 20, x2: 380, y1: 30, y2: 30, class: 'grid', 'stroke-width': 6, 'stroke-linecap': 'round' }),
    makeSvg('line', { x1: at(threshold), x2: 380, y1: 30, y2: 30, class: 'line0', 'stroke-width': 6, 'stroke-linecap': 'round', opacity: 0.45 }),
    makeSvg('line', { x1: at(threshold), x2: at(threshold), y1: 20, y2: 40, class: 'line0', 'stroke-width': 2 }),
    makeSvg('circle', { cx: at(cosine), cy: 30, r: 8, class: cosine >= threshold ? 'bar0' : 'bar1' }),
    text(20, '-0.2'), text(at(threshold), `threshold ${threshold.toFixed(3)}`), text(380, '1'));
}

function text(x, content) {
  const element = makeSvg('text', { x, y: 58, 'text-anchor': 'middle' });
  element.textContent = content;
  return element;
}

async function verdictCard(body, files) {
  const figures = await Promise.all(['a', 'b'].map(async (name, index) => make('figure', {}, await cropOf(files[name], body[name].bbox),
    make('figcaption', {}, `${index ? 'Second' : 'First'}, score ${body[name].prob.toFixed(3)}`))));
  const same = body.verdict === 'same';
  return make('article', { className: 'card verdict' }, make('div', { className: 'crops' }, ...figures),
    make('p', { className: `answer ${body.verdict}` }, same ? 'The same person' : 'Different people'),
    make('p', { className: 'about' }, 'Cosine ', make('b', { id: 'cosine' }, body.cosine.toFixed(4)), same ? ', at or above ' : ', below ',
      `the threshold of ${body.threshold.toFixed(4)}`), scaleOf(body.cosine, body.threshold));
}

async function compare() {
  if (!chosen.a || !chosen.b) return;
  const mine = ++newest, result = byId('match-result'), files = { ...chosen }, form = new FormData();
  form.append('a', files.a, files.a.name);
  form.append('b', files.b, files.b.name);
  result.replaceChildren(make('p', { className: 'about' }, 'Comparing'));
  let shown;
  try {
    shown = await verdictCard(await (await ask('/v1/match', { method: 'POST', body: form })).json(), files);
  } catch (error) {
    shown = make('p', { className: 'problem', role: 'alert' }, error instanceof Refusal ? error.message : `This page failed: ${error.message}`);
  }
  if (mine === newest) result.replaceChildren(shown);
}

function choose(name, file) {
  const label = byId(`drop-${name}`), image = make('img', { className: 'preview', alt: '', src: URL.createObjectURL(file) });
  image.addEventListener('error', () => image.remove());
  for (const old of label.querySelectorAll('img')) {
    URL.revokeObjectURL(old.src);
    old.remove();
  }
  label.querySelector('input').after(image);
  label.querySelector('span').textContent = file.name || 'pasted picture';
  chosen[name] = file;
}

/** Files for the places that are still empty, the second one where none is. */
export function takeForMatch(files) {
  for (const file of files.slice(0, 2)) choose(chosen.a ? 'b' : 'a', file);
  compare();
}

export function startMatch() {
  for (const name of ['a', 'b'])
    takeFiles(byId(`drop-${name}`), byId(`input-${name}`), (files) => {
      if (files.length === 0) return;
      choose(name, files[0]);
      if (files.length > 1) choose(name === 'a' ? 'b' : 'a', files[1]);
      compare();
    });
}
