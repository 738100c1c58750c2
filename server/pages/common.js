// SPDX-License-Identifier: Apache-2.0
// What all parts of the page share: making elements, asking the server, and the key that it may need.

export const byId = (id) => document.getElementById(id);

/** An element with properties and children; a child that is text becomes a text node, nothing is ever parsed as HTML. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && typeof value !== 'object') element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/** Milliseconds with as many digits as a reader can use. */
export function milliseconds(value) {
  if (!Number.isFinite(value)) return '-';
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A table's rows: the first is its head. */
export function fillTable(table, head, rows) {
  table.replaceChildren(
    make('thead', {}, make('tr', {}, ...head.map((text) => make('th', { scope: 'col' }, text)))),
    make('tbody', {}, ...rows.map((cells) => make('tr', {}, ...cells.map((cell) => make('td', {}, cell))))));
}

// ---------------------------------------------------------------- the key

const keyName = 'vultus-key';
let waitingForKey = null;

const key = () => sessionStorage.getItem(keyName) || '';

function openKeyDialog(about) {
  if (about) byId('key-about').textContent = about;
  byId('key-input').value = key();
  if (!byId('key-dialog').open) byId('key-dialog').showModal();
}

/** Asks for the key once, however many requests need it; resolves to whether one was given. */
function askForKey(about) {
  if (!waitingForKey) {
    waitingForKey = deferred();
    openKeyDialog(about);
  }
  return waitingForKey.promise;
}

function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve) => { parts.resolve = resolve; });
  return parts;
}

function closeKeyDialog(given) {
  byId('key-dialog').close();
  if (waitingForKey) waitingForKey.resolve(given);
  waitingForKey = null;
}

export function startKeyDialog() {
  byId('key-button').addEventListener('click', () => openKeyDialog());
  byId('key-cancel').addEventListener('click', () => closeKeyDialog(false));
  byId('key-dialog').addEventListener('cancel', (event) => {
    event.preventDefault();
    closeKeyDialog(false);
  });
  byId('key-form').addEventListener('submit', (event) => {
    event.preventDefault();
    sessionStorage.setItem(keyName, byId('key-input').value.trim());
    closeKeyDialog(true);
  });
}

// ---------------------------------------------------------------- requests

/** What went wrong, as a sentence for people. */
export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const statusSentences = {
  401: 'The server needs an API key.',
  403: 'The server does not allow this with the key given.',
  413: 'This is more than the server takes.',
  503: 'The server is busy or about to stop. Try again in a moment.',
  504: 'The server gave up because it took too long.',
};

/** The text of a refusal's body, {"detail": a sentence, or a list of what is wrong with fields}. */
function detailOf(body) {
  const detail = body && body.detail;
  if (typeof detail === 'string') return detail.slice(0, 1).toUpperCase() + detail.slice(1);
  if (!Array.isArray(detail)) return '';
  return detail.map((item) => `${(item.loc || []).slice(1).join('.')}: ${item.msg}`).join('; ');
}

async function refusalOf(answer) {
  let detail = '';
  try {
    detail = detailOf(await answer.json());
  } catch { /* a body that is not JSON says nothing more than the status does */ }
  const sentence = statusSentences[answer.status] || `The server refused (${answer.status}).`;
  return new Refusal(detail ? `${sentence} ${detail}` : sentence, answer.status);
}

/** fetch() with the key; throws a Refusal for everything but success. `quietly`: never opens the key dialog. */
export async function ask(path, options = {}, quietly = false) {
  for (let tries = 0; ; tries++) {
    const headers = { ...options.headers };
    if (key()) headers.Authorization = `Bearer ${key()}`;
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch {
      throw new Refusal('The server does not answer. Is it still running?', 0);
    }
    if (answer.ok) return answer;
    const refusal = await refusalOf(answer);
    if (answer.status !== 401 || quietly || tries > 0) throw refusal;
    if (!await askForKey(key() ? 'The server did not accept this key.' : 'This server needs a key.')) throw refusal;
  }
}

/** [[name, milliseconds]] of a Server-Timing header. */
export function timingsOf(answer) {
  return [...(answer.headers.get('Server-Timing') || '').matchAll(/([\w-]+);dur=([\d.]+)/g)]
    .map(([, name, time]) => [name, Number(time)]);
}

// ---------------------------------------------------------------- dropping and pasting

/** Files chosen by, or dropped on, the label of a file input. */
export function takeFiles(label, input, taken) {
  input.addEventListener('change', () => {
    taken([...input.files]);
    input.value = '';
  });
  for (const name of ['dragenter', 'dragover']) label.addEventListener(name, (event) => {
    event.preventDefault();
    label.classList.add('over');
  });
  for (const name of ['dragleave', 'drop']) label.addEventListener(name, () => label.classList.remove('over'));
  label.addEventListener('drop', (event) => {
    event.preventDefault();
    taken([...event.dataTransfer.files]);
  });
}

/** The type a picture is sent with; what is no picture goes as bytes, and the server says so. */
export const typeOf = (file) => (file.type.startsWith('image/') ? file.type : 'application/octet-stream');
