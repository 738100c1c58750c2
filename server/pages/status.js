// SPDX-License-Identifier: Apache-2.0
// The state of the server: /v1/status once, /metrics every two seconds while it is looked at.
import { barChart, lineChart, rowChart } from './charts.js';
import { Refusal, ask, byId, fillTable, make, milliseconds } from './common.js';

const everyMilliseconds = 2000, points = 60;
const quick = ['(none)', '/', '/docs', '/redoc', '/openapi.json', '/metrics', '/info', '/health', '/v1/live', '/v1/ready', '/v1/status', '/page/*'];
const history = { median: [], high: [] };
let timer = 0, looking = 0, before = null, described = false;

// ---------------------------------------------------------------- metrics

/** [{name, labels, value}] of Prometheus' text format. */
export function parseMetrics(text) {
  const samples = [];
  for (const line of text.split('\n')) {
    const found = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!found) continue;
    const labels = Object.fromEntries([...(found[2] || '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, value]) => [key, value]));
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}

const sum = (samples, name, fits = () => true) =>
  samples.filter((sample) => sample.name === name && fits(sample.labels)).reduce((total, sample) => total + sample.value, 0);

/** Cumulated counts by upper bound, [[bound, count]], over all series that fit. */
function buckets(samples, name, fits) {
  const counts = new Map();
  for (const { name: its, labels, value } of samples)
    if (its === `${name}_bucket` && fits(labels)) counts.set(labels.le, (counts.get(labels.le) || 0) + value);
  return [...counts].map(([bound, count]) => [bound === '+Inf' ? Infinity : Number(bound), count]).sort((a, b) => a[0] - b[0]);
}

function since(now, then) {
  const old = new Map(then);
  return now.map(([bound, count]) => [bound, count - (old.get(bound) || 0)]);
}

/** The value below which that part of the observations lies, taken as even within a bucket; null without any. */
function quantile(cumulated, part) {
  const total = cumulated.length ? cumulated.at(-1)[1] : 0, wanted = part * total;
  if (total === 0) return null;
  let low = 0, below = 0;
  for (const [bound, count] of cumulated) {
    if (count >= wanted) return bound === Infinity ? low : low + ((bound - low) * (wanted - below)) / (count - below || 1);
    low = bound;
    below = count;
  }
  return low;
}

/** Runs by size of batch, [[label, runs]], bounds as the server has them. */
function batches(samples, network) {
  const cumulated = buckets(samples, 'vultus_batch_size', (labels) => labels.network === network);
  let low = 0, below = 0;
  return cumulated.map(([bound, count]) => {
    const name = bound === Infinity ? `>${low}` : bound - low > 1 ? `${low + 1}-${bound}` : String(bound), runs = count - below;
    low = bound;
    below = count;
    return [name, runs];
  });
}

// ---------------------------------------------------------------- showing

const working = (labels) => !quick.includes(labels.route);

function duration(seconds) {
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']].filter(([unit]) => seconds >= unit).slice(0, 2);
  let rest = seconds;
  return parts.map(([unit, name]) => {
    const count = Math.floor(rest / unit);
    rest -= count * unit;
    return `${count} ${name}`;
  }).join(' ') || '0 s';
}

function showFigures(samples, rate, latency) {
  const refused = sum(samples, 'vultus_refused_busy_total') + sum(samples, 'vultus_refused_size_total') + sum(samples, 'vultus_timed_out_total');
  const figures = [
    ['Requests a second', rate === null ? '-' : rate.toFixed(1)],
    ['Median latency', latency === null ? '-' : `${milliseconds(1e3 * latency)} ms`],
    ['Pictures', sum(samples, 'vultus_pictures_total').toLocaleString('en')],
    ['Faces', sum(samples, 'vultus_faces_total').toLocaleString('en')],
    ['In work', String(sum(samples, 'vultus_requests_in_work'))],
    ['Refused or late', refused.toLocaleString('en')],
  ];
  byId('figures').replaceChildren(...figures.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value))));
}

function showModels(samples) {
  const models = samples.filter((sample) => sample.name === 'vultus_model_info').map((sample) => sample.labels);
  fillTable(byId('models'), ['Role', 'Model', 'Back end', 'Precision'], models.map((model) => [model.role, model.name, model.backend, model.precision]));
  return new Set(models.map((model) => model.backend));
}

function showStages(samples) {
  const stages = samples.filter((sample) => sample.name === 'vultus_stage_seconds_count').map(({ labels, value }) =>
    [labels.stage, (1e3 * sum(samples, 'vultus_stage_seconds_sum', (other) => other.stage === labels.stage)) / value]);
  rowChart(byId('stage-chart'), 'Mean milliseconds by stage', stages, milliseconds);
}

function showLatency(now, seconds) {
  const fresh = before ? since(now, before.latency) : [];
  const inMilliseconds = (part) => {
    const value = quantile(fresh, part);
    return value === null ? null : 1e3 * value;
  };
  for (const [name, part] of [['median', 0.5], ['high', 0.99]]) {
    history[name].push(inMilliseconds(part));
    if (history[name].length > points) history[name].shift();
  }
  lineChart(byId('latency-chart'), 'Latency in milliseconds', [['median', history.median], ['99%', history.high]], points);
  const count = fresh.length ? fresh.at(-1)[1] : 0;
  return before ? count / seconds : null;
}

function showMetrics(text) {
  const samples = parseMetrics(text), time = performance.now();
  const latency = buckets(samples, 'vultus_request_seconds', working);
  const rate = showLatency(latency, before ? (time - before.time) / 1e3 : 1);
  before = { latency, time };
  showFigures(samples, rate, quantile(latency, 0.5));
  showStages(samples);
  for (const network of ['detector', 'recogniser'])
    barChart(byId(`${network}-chart`), `Runs of the ${network} by batch size`, batches(samples, network), (value) => value.toLocaleString('en'));
  return showModels(samples);
}

function showBackends(status, inUse) {
  const state = (backend) => {
    if (inUse.has(backend.name)) return make('span', { className: 'good' }, 'in use');
    return make('span', { className: 'off' }, backend.usable ? 'usable' : 'not usable');
  };
  const why = (backend) => (backend.usable ? [backend.device, backend.reason, backend.libraries].filter(Boolean).join(' \u00b7 ') : backend.reason);
  fillTable(byId('backends'), ['Back end', 'State', 'Why, or with what'], status.backends.map((backend) => [backend.name, state(backend), why(backend)]));
}

async function look() {
  try {
    const inUse = showMetrics(await (await ask('/metrics', {}, described)).text());
    const status = await (await ask('/v1/status', {}, described)).json();
    showBackends(status, inUse);
    described = true;
    byId('status-lead').className = 'lead';
    byId('status-lead').textContent = `vultus ${status.version}, up for ${duration(status.uptime_seconds)}, on ${status.cpu.model} with ${status.cpu.threads} threads`;
  } catch (error) {
    described = true; // the key was asked for once; from now on a refusal is only shown
    byId('status-lead').className = 'problem';
    byId('status-lead').textContent = error instanceof Refusal ? error.message : `This page failed: ${error.message}`;
  }
}

/** Whether the part is looked at; while it is not, nothing is asked. */
export function showStatus(visible) {
  const mine = ++looking;
  clearTimeout(timer);
  const again = async () => {
    if (!document.hidden) await look();
    if (mine === looking) timer = setTimeout(again, everyMilliseconds);
  };
  if (visible) again();
}
