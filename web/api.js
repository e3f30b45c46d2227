// Talks to the daemon that served the page: requests with the token, what was not modified from
// memory, and event streams by fetch, since EventSource can send no token.
import {$} from './dom.js';

const KEPT = 300; // answers remembered for their ETag
const RETRY_MS = 2000;
const known = new Map();
let token = '';
let asking = null;
const watchers = new Set();

try {
  token = sessionStorage.getItem('pyrometer-token') || '';
} catch (error) {
  token = ''; // storage is forbidden: asked for again after a reload
}

export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Whether the daemon answers, as it changes.
export function onReach(call) {
  watchers.add(call);
}

function reached(well) {
  watchers.forEach(call => call(well));
}

function headers(more) {
  return token ? {...more, Authorization: `Bearer ${token}`} : more;
}

function askToken() {
  asking = asking || new Promise(resolve => {
    const dialog = $('token');
    $('token-note').textContent = token ? 'That is not the token.' : '';
    $('token-text').value = '';
    dialog.addEventListener('cancel', event => event.preventDefault());
    $('token-form').addEventListener('submit', () => {
      token = $('token-text').value;
      try {
        sessionStorage.setItem('pyrometer-token', token);
      } catch (error) {
        // as above
      }
      asking = null;
      resolve();
    }, {once: true});
    dialog.showModal();
  });
  return asking;
}

async function call(path, options) {
  for (;;) {
    const sent = token;
    let answer;
    try {
      answer = await fetch(path, {cache: 'no-store', ...options, headers: headers(options.headers)});
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      reached(false);
      throw new Problem(0, 'The daemon does not answer.');
    }
    reached(true);
    if (answer.status !== 401) return answer;
    await answer.body?.cancel(); // unread it would hold its connection
    if (sent === token) await askToken();
  }
}

async function fail(answer) {
  let text = `The daemon answered ${answer.status}.`;
  try {
    const problem = await answer.json();
    text = problem.detail || problem.title || text;
  } catch (error) {
    // not a problem document: the status says it
  }
  throw new Problem(answer.status, text);
}

function remember(path, etag, data) {
  known.delete(path);
  known.set(path, {etag, data});
  if (known.size > KEPT) known.delete(known.keys().next().value);
}

export async function get(path, signal) {
  const before = known.get(path);
  const answer = await call(path, {signal, headers: before ? {'If-None-Match': before.etag} : {}});
  if (answer.status === 304) return before.data;
  if (!answer.ok) await fail(answer);
  const data = await answer.json();
  const etag = answer.headers.get('ETag');
  if (etag) remember(path, etag, data);
  return data;
}

export async function send(method, path, body) {
  const options = {method, headers: {}};
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers['Content-Type'] = 'application/json';
  }
  const answer = await call(path, options);
  if (!answer.ok) await fail(answer);
  return answer.status === 204 ? null : answer.json();
}

export const runPath = (run, rest = '') => `/api/v1/runs/${encodeURIComponent(run)}${rest}`;

// A layer's name as a glob that matches nothing else.
const escapeGlob = name => name.replace(/[*?[\\]/g, '\\$&');

// options: metrics, layers (names), from, to, points, intervals (how many to give beside instruments' values)
export function series(run, options, signal) {
  const query = new URLSearchParams();
  query.set('metric', options.metrics.join(','));
  (options.layers || []).forEach(name => query.append('layer', escapeGlob(name)));
  for (const key of ['from', 'to', 'points', 'intervals']) {
    if (options[key] !== undefined && options[key] !== null) query.set(key, String(options[key]));
  }
  return get(runPath(run, `/series?${query}`), signal);
}

// Splits the bytes of an event stream into events.
function parser(take) {
  let text = '';
  return piece => {
    text = (text + piece).replaceAll('\r\n', '\n');
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const event = {name: 'message', data: [], id: null};
      for (const line of text.slice(0, end).split('\n')) {
        if (line.startsWith('event:')) event.name = line.slice(6).trim();
        else if (line.startsWith('data:')) event.data.push(line.slice(5).replace(/^ /, ''));
        else if (line.startsWith('id:')) event.id = line.slice(3).trim();
      }
      if (event.data.length) take(event);
    }
  };
}

const pause = (ms, signal) => new Promise(resolve => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => {
    clearTimeout(timer);
    resolve();
  }, {once: true});
});

const visible = signal => new Promise(resolve => {
  if (!document.hidden || signal.aborted) return resolve();
  const look = () => {
    if (document.hidden && !signal.aborted) return;
    document.removeEventListener('visibilitychange', look);
    resolve();
  };
  document.addEventListener('visibilitychange', look);
  signal.addEventListener('abort', look, {once: true});
});

// One connection: until it ends, the page is hidden or the caller has had enough.
async function listen(path, last, signal, take) {
  const stop = new AbortController();
  const hide = () => document.hidden && stop.abort();
  const leave = () => stop.abort();
  document.addEventListener('visibilitychange', hide);
  signal.addEventListener('abort', leave);
  try {
    const more = {Accept: 'text/event-stream', ...(last ? {'Last-Event-ID': last} : {})};
    const answer = await call(path, {signal: stop.signal, headers: more});
    if (!answer.ok) await fail(answer);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const feed = parser(take);
    for (let piece; !(piece = await reader.read()).done;) feed(piece.value);
  } finally {
    document.removeEventListener('visibilitychange', hide);
    signal.removeEventListener('abort', leave);
  }
}

// take(name, data) gets every event until the signal aborts. A stream that breaks is opened again;
// one that ends because its run is over is not, unless take says so by returning true for 'end'. 'gone': there is no such run any more.
export async function stream(path, signal, take) {
  let last = null;
  while (!signal.aborted) {
    let over = false;
    await visible(signal);
    if (signal.aborted) return;
    try {
      await listen(path, last, signal, event => {
        last = event.id || last;
        take(event.name, JSON.parse(event.data.join('\n')));
      });
      over = !document.hidden && !take('end', null);
    } catch (error) {
      if (error.status === 404) return void take('gone', null);
    }
    if (over) return;
    await pause(document.hidden ? 0 : RETRY_MS, signal);
  }
}
