// SPDX-License-Identifier: Apache-2.0
// Bars and lines as SVG, as wide as the place they are put in.
import { make, makeSvg, milliseconds } from './common.js';

const height = 190, left = 44, right = 8, top = 10, bottom = 26;

/** The smallest of 1, 1.5, 2, 3, 4, 6, 8, 10, 15, ... that is not below. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 1.5, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value) || 10 * power;
}

function write(x, y, anchor, content, kind = '') {
  const element = makeSvg('text', { x, y, 'text-anchor': anchor, class: kind });
  element.textContent = content;
  return element;
}

const short = (value) => (value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(Number(value.toPrecision(3))));

function frame(host, most, title) {
  const width = Math.max(host.clientWidth, 240);
  const drawing = makeSvg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': title });
  const y = (value) => height - bottom - ((height - top - bottom) * value) / most;
  for (const part of [0, 0.5, 1]) {
    drawing.append(makeSvg('line', { x1: left, x2: width - right, y1: y(most * part), y2: y(most * part), class: 'grid' }),
      write(left - 8, y(most * part) + 4, 'end', short(most * part)));
  }
  return { drawing, width, y };
}

/** bars: [[label, value]]; `shown` is how a value is written above its bar. */
export function barChart(host, title, bars, shown) {
  if (bars.every(([, value]) => value === 0)) {
    host.replaceChildren(make('p', { className: 'about' }, 'Nothing yet.'));
    return;
  }
  const most = roundUp(1.08 * Math.max(...bars.map(([, value]) => value)));
  const { drawing, width, y } = frame(host, most, `${title}: ${bars.map(([name, value]) => `${name} ${shown(value)}`).join(', ')}`);
  const step = (width - left - right) / bars.length, narrow = step < 42;
  bars.forEach(([name, value], index) => {
    const middle = left + step * (index + 0.5), wide = Math.min(0.66 * step, 48);
    drawing.append(makeSvg('rect', { x: middle - wide / 2, y: y(value), width: wide, height: height - bottom - y(value), rx: 2, class: 'bar0',
      'data-name': name, 'data-value': value }));
    if (value > 0) drawing.append(write(middle, y(value) - 4, 'middle', shown(value)));
    drawing.append(write(middle, height - 8, 'middle', name, narrow ? 'small' : ''));
  });
  host.replaceChildren(drawing);
}

/** The same with one bar below the other, for names that are words. */
export function rowChart(host, title, bars, shown) {
  const row = 22, named = 72, valued = 52, width = Math.max(host.clientWidth, 240), most = Math.max(...bars.map(([, value]) => value));
  if (!(most > 0)) {
    host.replaceChildren(make('p', { className: 'about' }, 'Nothing yet.'));
    return;
  }
  const drawing = makeSvg('svg', { viewBox: `0 0 ${width} ${row * bars.length}`, role: 'img',
    'aria-label': `${title}: ${bars.map(([name, value]) => `${name} ${shown(value)}`).join(', ')}` });
  bars.forEach(([name, value], index) => {
    const y = row * index, long = width - named - valued, bar = { x: named, y: y + 4, height: row - 9, rx: 3 };
    drawing.append(write(0, y + 15, 'start', name), makeSvg('rect', { ...bar, width: long, class: 'track' }),
      makeSvg('rect', { ...bar, width: Math.max((long * value) / most, 1), class: 'bar0', 'data-name': name, 'data-value': value }),
      write(width, y + 15, 'end', shown(value)));
  });
  host.replaceChildren(drawing);
}

/** lines: [[name, values]], all of one length, oldest first; null where there was nothing to measure. */
export function lineChart(host, title, lines, points) {
  const all = lines.flatMap(([, values]) => values).filter((value) => value !== null);
  if (all.length === 0) {
    host.replaceChildren(make('p', { className: 'about' }, 'No requests since this page was opened.'));
    return;
  }
  const { drawing, width, y } = frame(host, roundUp(1.05 * Math.max(...all)), title);
  const x = (index) => left + ((width - left - right) * index) / Math.max(points - 1, 1);
  lines.forEach(([, values], number) => {
    let path = '', down = false;
    values.forEach((value, index) => {
      const at = x(points - values.length + index);
      if (value !== null) path += `${down ? 'L' : 'M'}${at.toFixed(1)} ${y(value).toFixed(1)}`;
      if (value !== null && !down) path += 'h.1';
      down = value !== null;
    });
    drawing.append(makeSvg('path', { d: path, class: `line line${number}`, 'stroke-linecap': 'round' }));
  });
  drawing.append(write(width - right, height - 8, 'end', 'now'), write(left, height - 8, 'start', `${2 * (points - 1)} s ago`));
  const legend = make('ul', { className: 'legend' }, ...lines.map(([name, values], number) =>
    make('li', {}, make('i', { className: `tone-line${number}` }), `${name} ${shownLast(values)}`)));
  host.replaceChildren(drawing, legend);
}

function shownLast(values) {
  const last = values.filter((value) => value !== null).at(-1);
  return last === undefined ? '' : `${milliseconds(last)} ms`;
}
