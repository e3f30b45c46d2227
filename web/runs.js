// All runs at a glance.
import {get} from './api.js';
import {announce, el, setText} from './dom.js';
import {MISSING, ago, count, interval, moment, number, value as read} from './format.js';
import {readingOf, spark} from './spark.js';

const REFRESH_MS = 2000;
const SHOWN = 300; // rows at first; the button shows more
const STATUSES = ['running', 'stalled', 'completed', 'failed', 'stopped'];
const state = {text: '', status: '', sort: 'started', up: false, chosen: new Set(), shown: SHOWN};

const newest = run => run.temperature || readingOf(run.run);
const kinetic = run => newest(run)?.global?.kinetic;
const COLUMNS = [
  ['run', 'Run', run => run.run],
  ['status', 'State', run => STATUSES.indexOf(run.status)],
  ['step', 'Step', run => run.last_step ?? -1],
  ['loss', 'Loss', run => read(run.loss)],
  ['kinetic', 'Temperature', run => read(kinetic(run)?.value)],
  ['stability', 'Stability', run => read(newest(run)?.stability)],
  ['alerts', 'Alerts', run => run.alerts.firing],
  ['started', 'Started', run => run.started],
];

const UNITS = {kinetic: 'loss / param', stability: 'of the edge'};
const HINTS = {kinetic: 'Kinetic temperature of the whole run with its 95% interval',
  stability: 'How near the updates are to growing instead of settling: 1 is the edge'};

const firstSteps = () => [
  el('h2', {text: 'No runs yet'}),
  el('p', {text: 'A run appears here with its first step. From a training script in PyTorch:'}),
  el('pre', {}, el('code', {text: `import pyrometer
run = pyrometer.watch(model, optimizer, run="my-run")
run.step(loss)    # after each optimizer.step()
run.finish()`})),
  el('p', {text: 'Or from a recording:'}),
  el('pre', {}, el('code', {text: 'pyrometer replay FILE.ndjson.gz'})),
  el('p', {class: 'soft'}, 'Jobs connect to the daemon’s port for them, 127.0.0.1:27315 unless configured otherwise; ', el('code', {text: 'PYROMETER_SERVER'}), ' names another.'),
];

async function allRuns(signal) {
  const runs = [];
  let cursor = null;
  do {
    const page = await get(`/api/v1/runs?limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`, signal);
    runs.push(...page.runs);
    cursor = page.next_cursor;
  } while (cursor && runs.length < 2000);
  return runs;
}

function compare(a, b, column) {
  const [x, y] = [column[2](a), column[2](b)];
  if (typeof x === 'string') return x.localeCompare(y, undefined, {numeric: true});
  const known = v => typeof v === 'number' && !Number.isNaN(v);
  if (!known(x) || !known(y)) return known(x) - known(y);
  return x - y;
}

function wanted(run) {
  const text = state.text.toLowerCase();
  return (!state.status || run.status === state.status) &&
    (!text || `${run.run} ${run.project || ''}`.toLowerCase().includes(text));
}

export class RunsView {
  constructor({signal, go}) {
    this.signal = signal;
    this.go = go;
    this.rows = new Map();
    this.search = el('input', {type: 'search', placeholder: 'Filter by name or project', 'aria-label': 'Filter by name or project',
      value: state.text, oninput: () => this.filter({text: this.search.value})});
    this.chips = el('div', {class: 'chips', hidden: true, role: 'group', 'aria-label': 'State'},
      ['', ...STATUSES].map(status => el('button', {type: 'button', class: 'chip', 'data-status': status,
        onclick: () => this.filter({status})}, status ? el('span', {class: `dot ${status}`}) : null, status || 'all', ' ', el('b'))));
    this.heads = el('tr', {}, el('th', {class: 'pick'}, el('span', {class: 'sr', text: 'Compare'})),
      COLUMNS.map(([key, name]) => el('th', {class: key, scope: 'col', 'data-key': key},
        el('button', {type: 'button', title: HINTS[key], onclick: () => this.sort(key)}, name, UNITS[key] ? el('small', {text: ` ${UNITS[key]}`}) : null))));
    this.body = el('tbody');
    this.note = el('p', {class: 'empty', text: 'Loading …'});
    this.more = el('button', {type: 'button', hidden: true, onclick: () => this.filter({shown: state.shown + SHOWN})}, 'Show more');
    this.compareButton = el('button', {type: 'button', class: 'main', hidden: true, onclick: () => this.openCompare()});
    this.table = el('div', {class: 'table-box', hidden: true},
      el('table', {}, el('caption', {class: 'sr', text: 'Runs'}), el('thead', {}, this.heads), this.body));
    this.first = el('div', {class: 'panel first', hidden: true}, firstSteps());
    this.root = el('section', {class: 'view runs', 'aria-labelledby': 'runs-title'},
      el('div', {class: 'view-head'}, el('h1', {id: 'runs-title', text: 'Runs'}), this.search, this.compareButton),
      this.chips, this.table, this.first, this.note, this.more);
  }

  async start() {
    while (!this.signal.aborted) {
      try {
        this.runs = await allRuns(this.signal);
        this.draw();
      } catch (error) {
        if (error.name === 'AbortError') return;
        this.say(error.message);
      }
      await new Promise(resolve => {
        setTimeout(resolve, document.hidden ? 10 * REFRESH_MS : REFRESH_MS);
        this.signal.addEventListener('abort', resolve, {once: true});
      });
    }
  }

  say(text) {
    this.note.hidden = !text;
    setText(this.note, text);
  }

  filter(change) {
    Object.assign(state, change);
    if (this.runs) this.draw();
  }

  sort(key) {
    state.up = state.sort === key ? !state.up : ['run', 'status'].includes(key);
    state.sort = key;
    this.draw();
    announce(`Sorted by ${key}, ${state.up ? 'smallest' : 'largest'} first`);
  }

  openCompare() {
    this.go(`#/compare?${new URLSearchParams([...state.chosen].map(run => ['run', run]))}`);
  }

  draw() {
    const column = COLUMNS.find(c => c[0] === state.sort);
    const found = this.runs.filter(wanted).sort((a, b) => compare(a, b, column) * (state.up ? 1 : -1));
    const shown = found.slice(0, state.shown);
    this.drawChips();
    this.heads.querySelectorAll('[data-key]').forEach(th => {
      if (th.dataset.key === state.sort) th.setAttribute('aria-sort', state.up ? 'ascending' : 'descending');
      else th.removeAttribute('aria-sort');
    });
    const rows = shown.map(run => this.row(run));
    if (rows.length !== this.body.children.length || rows.some((row, i) => this.body.children[i] !== row)) {
      const focused = document.activeElement;
      this.body.replaceChildren(...rows);
      if (focused && this.body.contains(focused)) focused.focus();
    }
    this.more.hidden = found.length <= shown.length;
    const none = !this.runs.length;
    this.first.hidden = !none;
    this.search.hidden = this.chips.hidden = this.table.hidden = none;
    this.say(none || found.length ? '' : 'No run is like that.');
    this.drawCompare();
  }

  drawChips() {
    for (const chip of this.chips.children) {
      const {status} = chip.dataset, n = this.runs.filter(run => !status || run.status === status).length;
      setText(chip.querySelector('b'), String(n));
      chip.hidden = !!status && !n && state.status !== status;
      chip.setAttribute('aria-pressed', String(state.status === status));
    }
  }

  drawCompare() {
    const n = state.chosen.size;
    this.compareButton.hidden = !n;
    setText(this.compareButton, `Compare ${n} ${n === 1 ? 'run' : 'runs'}`);
  }

  row(run) {
    const known = this.rows.get(run.run) || this.makeRow(run.run);
    known.run = run;
    this.fill(run, known.cells);
    return known.row;
  }

  makeRow(name) {
    const pick = el('input', {type: 'checkbox', 'aria-label': `Compare ${name}`, onchange: () => {
      if (pick.checked) state.chosen.add(name);
      else state.chosen.delete(name);
      this.drawCompare();
    }});
    const link = el('a', {href: `#/run/${encodeURIComponent(name)}`, text: name});
    const cells = Object.fromEntries(['project', 'status', 'step', 'loss', 'kinetic', 'range', 'stability', 'alerts', 'started']
      .map(key => [key, el('span', {class: `v-${key}`})]));
    const curve = spark(name, () => this.fill(known.run, known.cells));
    const dot = el('span', {class: 'dot'}), gauge = el('span', {class: 'gauge', 'aria-hidden': 'true'}, el('i'));
    const row = el('tr', {'data-run': name},
      el('td', {class: 'pick'}, pick),
      el('th', {class: 'run', scope: 'row'}, link, cells.project),
      el('td', {class: 'status'}, dot, cells.status),
      el('td', {class: 'step', 'data-name': 'step'}, cells.step),
      el('td', {class: 'loss', 'data-name': 'loss'}, curve.canvas, cells.loss),
      el('td', {class: 'kinetic', 'data-name': 'temperature'}, cells.kinetic, cells.range),
      el('td', {class: 'stability', 'data-name': 'stability'}, gauge, cells.stability),
      el('td', {class: 'alerts', 'data-name': 'alerts'}, cells.alerts),
      el('td', {class: 'started'}, cells.started));
    row.addEventListener('click', event => {
      if (!event.target.closest('a, input, button') && !String(getSelection())) this.go(link.getAttribute('href'));
    });
    const known = {row, cells: {row, pick, dot, gauge, curve, ...cells}};
    this.rows.set(name, known);
    return known;
  }

  fill(run, c) {
    const warm = kinetic(run) || {}, stability = read(newest(run)?.stability);
    c.pick.checked = state.chosen.has(run.run);
    setText(c.project, run.project || '');
    setText(c.status, run.status);
    c.dot.className = `dot ${run.status}`;
    setText(c.step, count(run.last_step));
    setText(c.loss, number(run.loss));
    c.loss.classList.toggle('wild', typeof run.loss === 'string');
    setText(c.kinetic, number(warm.value, 3));
    c.kinetic.title = warm.reason || 'kinetic temperature, loss / parameter';
    setText(c.range, interval(warm.low, warm.high));
    setText(c.stability, number(stability, 2));
    c.gauge.hidden = stability === null || !Number.isFinite(stability);
    c.gauge.firstChild.style.width = `${Math.min(1, Math.max(0, stability || 0)) * 100}%`;
    c.gauge.dataset.level = stability > 0.3 ? 'critical' : stability > 0.15 ? 'warning' : 'good';
    const {firing} = run.alerts, all = firing + run.alerts.resolved;
    setText(c.alerts, firing ? `${firing} firing` : all ? `${all} past` : MISSING);
    c.alerts.classList.toggle('hot', firing > 0);
    setText(c.started, ago(run.started));
    c.started.title = moment(run.started);
    c.curve.update(`${run.last_step}.${run.steps}.${!run.temperature}`, !run.temperature);
  }

  // j, k: rows; Enter opens; x picks for comparing.
  key(event) {
    const rows = [...this.body.children], at = rows.findIndex(row => row.contains(document.activeElement));
    const moves = {j: 1, k: -1};
    if (moves[event.key]) {
      const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + moves[event.key]))];
      if (next) next.querySelector('a').focus();
      return true;
    }
    if (event.key === 'x' && at >= 0) {
      rows[at].querySelector('input').click();
      return true;
    }
    if (event.key === 'c' && state.chosen.size) {
      this.openCompare();
      return true;
    }
    if (event.key === '/') {
      this.search.focus();
      return true;
    }
    return false;
  }
}
