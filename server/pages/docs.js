// SPDX-License-Identifier: Apache-2.0
// /openapi.json for people: every route with its parameters, bodies, answers, and a line of curl that asks it.
import { byId, fillTable, make } from './common.js';

let api;

/** What a $ref stands for. */
function follow(schema) {
  return schema && schema.$ref ? schema.$ref.split('/').slice(1).reduce((place, name) => place[name], api) : schema || {};
}

function typeName(given) {
  const schema = follow(given), types = [].concat(schema.type || (schema.properties ? 'object' : 'any'));
  const names = types.map((type) => (type === 'array' && schema.items ? `list of ${typeName(schema.items)}` : type));
  return names.join(' or ') + (schema.enum ? `: ${schema.enum.join(', ')}` : '') + (schema.format ? ` (${schema.format})` : '');
}

const deepest = 4;

/** [[name, required, schema]] of a schema's fields, those of inner objects as `outer.inner`, of lists as `outer[].inner`. */
function fieldsOf(given, before = '', depth = 0) {
  const schema = follow(given), rows = [];
  for (const [name, inner] of Object.entries(schema.properties || {})) {
    rows.push([before + name, (schema.required || []).includes(name), inner]);
    const field = follow(inner);
    if (depth < deepest && field.properties) rows.push(...fieldsOf(field, `${before}${name}.`, depth + 1));
    if (depth < deepest && field.items) rows.push(...fieldsOf(field.items, `${before}${name}[].`, depth + 1));
  }
  return rows;
}

function fieldTable(title, rows) {
  const table = make('table');
  fillTable(table, ['Field', 'Type', 'Default', 'Meaning'], rows.map(([name, required, given]) => {
    const schema = follow(given);
    const fallback = required ? 'required' : schema.default === undefined ? '' : JSON.stringify(schema.default);
    return [make('code', {}, name), make('span', { className: 'type' }, typeName(schema)), fallback, schema.description || ''];
  }));
  return make('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': title }, table);
}

// ---------------------------------------------------------------- curl

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** A small body with the required fields. */
function sampleOf(given) {
  const schema = follow(given);
  if (schema.example !== undefined) return schema.example;
  const needed = schema.required || [];
  if (needed.includes('images')) return { images: { urls: ['test.jpg'] } };
  return Object.fromEntries(needed.map((name) => [name, [].concat(follow(schema.properties[name]).type)[0] === 'string' ? name : 0]));
}

function bodyOptions(content) {
  const types = Object.keys(content);
  const picture = types.find((type) => type.startsWith('image/'));
  if (picture) return ['-H', quoted('content-type: image/jpeg'), '--data-binary', '@photo.jpg'];
  if (content['multipart/form-data'])
    return fieldsOf(content['multipart/form-data'].schema).filter(([, required]) => required)
      .flatMap(([name, , schema]) => ['-F', follow(schema).format === 'binary' ? `${name}=@${name === 'file' ? 'photo' : name}.jpg` : `${name}=...`]);
  if (content['application/json'])
    return ['-H', quoted('content-type: application/json'), '-d', quoted(JSON.stringify(sampleOf(content['application/json'].schema)))];
  return ['-H', quoted(`content-type: ${types[0]}`), '--data-binary', '@body'];
}

function curlLine(path, method, about) {
  const parts = ['curl', '-s'];
  if (!['get', 'post'].includes(method)) parts.push('-X', method.toUpperCase());
  if ((about.security || []).some((need) => Object.keys(need).length > 0)) parts.push('-H', quoted('authorization: Bearer KEY'));
  if (about.requestBody) parts.push(...bodyOptions(about.requestBody.content));
  else if (method === 'post') parts.push('-X', 'POST');
  const ok = (about.responses['200'] || {}).content || {};
  return [...parts, location.origin + path, ...(ok['image/jpeg'] ? ['-o', 'faces.jpg'] : [])].join(' ');
}

function curlBox(line) {
  const text = make('pre', { tabIndex: 0 }, line), button = make('button', { type: 'button', className: 'quiet' }, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(line);
      button.textContent = 'Copied';
    } catch { // without permission the line is marked, for the keyboard to copy
      getSelection().selectAllChildren(text);
    }
  });
  return make('div', { className: 'curl' }, text, button);
}

// ---------------------------------------------------------------- routes

function parameterParts(about) {
  const parameters = (about.parameters || []).map(follow);
  const rows = parameters.map((item) => [item.name, item.required, { description: item.description, ...follow(item.schema) }]);
  return rows.length ? [make('h3', {}, `Parameters, in the ${[...new Set(parameters.map((item) => item.in))].join(' and the ')}`), fieldTable('Parameters', rows)] : [];
}

/** Types with one and the same schema are shown together. */
function bodyParts(about) {
  const groups = new Map();
  for (const [type, { schema }] of Object.entries(about.requestBody ? about.requestBody.content : {})) {
    const key = JSON.stringify(schema || {});
    groups.set(key, { schema, types: [...(groups.get(key) || { types: [] }).types, type] });
  }
  return [...groups.values()].flatMap(({ schema, types }) => {
    const rows = fieldsOf(schema), title = `Body: ${types.join(', ')}`;
    return [make('h3', {}, title), rows.length ? fieldTable(title, rows) : make('p', { className: 'about' }, typeName(schema))];
  });
}

/** What something may look like, one or the other. */
const shapesOf = (schema) => (follow(schema).oneOf || [schema]).map(follow);

function answerParts(about) {
  const table = make('table'), parts = [];
  fillTable(table, ['Status', 'Meaning', 'Type'], Object.entries(about.responses).map(([code, given]) => {
    const answer = follow(given);
    return [make('code', {}, code), answer.description, Object.keys(answer.content || {}).join(', ')];
  }));
  for (const [code, given] of Object.entries(about.responses)) {
    const [content] = Object.values(follow(given).content || {}), shapes = content && code.startsWith('2') ? shapesOf(content.schema) : [];
    for (const shape of shapes) {
      const rows = fieldsOf(shape), title = `Answer ${code}${shape.title ? `, ${shape.title}` : ''}`;
      if (rows.length) parts.push(make('h3', {}, title), fieldTable(title, rows));
    }
  }
  return [make('h3', {}, 'Answers'), make('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': 'Answers' }, table), ...parts];
}

const methodMark = (method) => make('span', { className: `method ${method}` }, method.toUpperCase());

function route(path, method, about) {
  const id = `${method}${path.replaceAll(/[^\w]+/g, '-')}`;
  byId('routes').append(make('a', { href: `#${id}` }, methodMark(method), path));
  const details = [...parameterParts(about), ...bodyParts(about), ...answerParts(about)];
  return make('article', { className: 'card route', 'data-route': `${method} ${path}` },
    make('header', {}, methodMark(method), make('h2', { id }, path)), make('p', {}, about.summary || ''),
    about.description ? make('p', { className: 'about' }, about.description) : null, curlBox(curlLine(path, method, about)),
    make('details', { open: Boolean(about.requestBody) }, make('summary', {}, 'Fields and answers'), ...details));
}

async function show() {
  const answer = await fetch('/openapi.json');
  if (!answer.ok) throw new Error(`the server refused (${answer.status})`);
  api = await answer.json();
  byId('title').textContent = `${api.info.title} API`;
  byId('about').textContent = `${api.info.description}.`;
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, about] of Object.entries(methods)) byId('paths').append(route(path, method, about));
  if (location.hash) byId(location.hash.slice(1))?.scrollIntoView();
}

show().catch((error) => {
  byId('paths').replaceChildren(make('p', { className: 'problem', role: 'alert' }, `The description cannot be shown: ${error.message}.`));
});
