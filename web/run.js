// One run: its readings, its time line, its layers as a thermal picture, its path, its alerts.
import {get, runPath, series as ask, stream} from './api.js';
import {AlertList} from './alerts.js';
import {Chart, lineColour} from './chart.js';
import {BalancePanel} from './balance.js';
import {announce, el, setText} from './dom.js';
import {MISSING, ago, count, duration, moment, number, value as read} from './format.js';
import {HeatMap} from './heatmap.js';
import {Cards, reading} from './instruments.js';
import {LayerPanel} from './layer.js';
import {LOSS, instruments, metric, ofLayers, ofRun, thermometers} from './metrics.js';
import {PhasePlane} from './phase.js';
import {AT_ONCE, StatesPanel} from './states.js';
import {panned, zoomed} from './zoom.js';

const POINTS = 600;
const BANDS = 150; // intervals over what is in view
const FASTEST_MS = 1000; // between two looks at the series of a live run
const SLACK = 5; // and at least so many times what the last look took
const DRAWN = ['kinetic', 'configurational'];
const RETRY_MS = 2000; // until a run is there
const SETTLE_MS = 100; // a zoom that stays so long is asked for
const UNITS = [...new Set(thermometers.map(m => m.unit))]; // temperatures of different units do not share an axis

const isLive = status => status === 'running' || status === 'stalled';

// Pieces of the range 'a to b' for the address.
function readRange(query) {
  const from = Number.parseInt(query.get('from'), 10), to = Number.parseInt(query.get('to'), 10);
  return Number.isFinite(from) && Number.isFinite(to) && to > from ? {from, to} : null;
}

export class RunView {
  constructor({signal, go, name, query, replace}) {
    Object.assign(this, {signal, go, name, replace});
    this.zoom = readRange(query);
    this.heatMetric = metric(query.get('metric') || 'temperature.kinetic');
    this.layerName = query.get('layer');
    this.drawn = new Set(DRAWN);
    this.other = metric('stability');
    this.parts = [];
    this.bands = new Map(); // metric -> its intervals in view
    this.makeHead();
    this.makeTimeline();
    this.makeRest();
    // Hidden until it is known that there is such a run.
    this.body = el('div', {class: 'run-body', hidden: true}, this.contents(), this.readings, this.timeline, this.heatBox, this.layerBox,
      this.balance.root, this.states.root, this.phaseBox, this.alertBox, this.eventBox, this.factBox);
    this.root = el('section', {class: 'view run', 'aria-labelledby': 'run-title'}, this.head, this.note, this.body);
    signal.addEventListener('abort', () => {
      clearTimeout(this.later);
      this.parts.forEach(part => part.destroy());
    });
  }

  // The way to each part of a long page. The address names the view, so these are no links.
  contents() {
    const parts = [['Now', this.readings], ['Over steps', this.timeline], ['Layers', this.heatBox], ['Energy balance', this.balance.root],
      ['States', this.states.root], ['Phase plane', this.phaseBox]];
    const go = part => {
      part.scrollIntoView();
      part.tabIndex = -1;
      part.focus({preventScroll: true});
    };
    this.alertButton = el('button', {type: 'button', class: 'chip', onclick: () => go(this.alertBox)}, 'Alerts');
    return el('div', {class: 'chips contents', role: 'group', 'aria-label': 'Parts of this page'},
      parts.map(([name, part]) => el('button', {type: 'button', class: 'chip', onclick: () => go(part)}, name)), this.alertButton);
  }

  makeHead() {
    this.dot = el('span', {class: 'dot'});
    this.status = el('span', {class: 'v-status'});
    this.facts = el('p', {class: 'facts'});
    this.note = el('p', {class: 'empty', role: 'alert', text: 'Loading …'});
    this.head = el('div', {class: 'view-head run-head unknown'},
      el('h1', {id: 'run-title', text: this.name}), el('span', {class: 'status'}, this.dot, this.status), this.facts,
      el('a', {class: 'button', href: `#/compare?${new URLSearchParams({run: this.name})}`}, 'Compare'));
    this.cards = new Cards(thermometers, true);
    this.more = new Cards(instruments, true);
    this.explain = el('button', {type: 'button', class: 'quiet', 'aria-pressed': 'false', title: 'What each instrument means (e)',
      onclick: () => this.toggleSentences()}, 'Explain');
    this.readings = el('section', {class: 'panel readings', 'aria-labelledby': 'readings-title'},
      el('div', {class: 'panel-head'}, el('h2', {id: 'readings-title', text: 'Temperatures now'}),
        this.at = el('span', {class: 'soft'}), this.explain),
      this.cards.root, el('h2', {class: 'second', text: 'Instruments'}), this.more.root);
  }

  makeTimeline() {
    const shared = this.chartOptions = {onZoom: (from, to) => this.setZoom(from, to), onCursor: (step, who) => this.cursor(step, who), onWheel: (what, step) => this.wheel(what, step)};
    this.loss = new Chart({title: 'Loss over steps', height: 210, scale: LOSS.scale, ...shared});
    this.heats = UNITS.map(unit => {
      const of = thermometers.filter(m => m.unit === unit);
      const chart = new Chart({title: `Temperatures of the whole run over steps, ${unit}`, height: 230,
        scale: of.every(m => m.scale === 'log') ? 'log' : 'signed', ...shared});
      return {unit, chart, root: el('div', {}, el('p', {class: 'axis-unit', text: unit}), chart.root)};
    });
    this.third = new Chart({title: 'Another series over steps', height: 170, scale: 'auto', ...shared});
    this.rangeText = el('span', {class: 'soft'});
    this.whole = el('button', {type: 'button', hidden: true, title: 'The whole run (0)', onclick: () => this.setZoom(null, null)}, 'Whole run');
    const button = (text, key, label) => el('button', {type: 'button', class: 'quiet', 'aria-label': label, title: `${label} (${key})`, onclick: () => this.key({key: key[0]})}, text);
    this.zoomButtons = el('span', {class: 'zoom', role: 'group', 'aria-label': 'Steps in view'}, button('−', '-', 'Zoom out'), button('+', '+', 'Zoom in'),
      this.earlier = el('button', {type: 'button', class: 'quiet', 'aria-label': 'Earlier steps', title: 'Earlier steps (←)', onclick: () => this.key({key: 'ArrowLeft'})}, '‹'),
      this.afterwards = el('button', {type: 'button', class: 'quiet', 'aria-label': 'Later steps', title: 'Later steps (→)', onclick: () => this.key({key: 'ArrowRight'})}, '›'));
    this.chips = el('div', {class: 'chips', role: 'group', 'aria-label': 'Temperatures drawn'}, thermometers.map(m =>
      el('button', {type: 'button', class: 'chip', 'aria-pressed': String(this.drawn.has(m.short)), title: m.sentence, onclick: event => {
        if (this.drawn.has(m.short)) this.drawn.delete(m.short);
        else this.drawn.add(m.short);
        event.currentTarget.setAttribute('aria-pressed', String(this.drawn.has(m.short)));
        this.load();
      }}, m.name)));
    this.otherSelect = this.select('Also drawn', ofRun.filter(m => !m.thermometer && m.key !== 'loss'), this.other, m => {
      this.other = m;
      this.load();
    });
    this.timeline = el('section', {class: 'panel', 'aria-labelledby': 'time-title'},
      el('div', {class: 'panel-head'}, el('h2', {id: 'time-title', text: 'Over steps'}), this.rangeText, this.zoomButtons, this.whole,
        el('span', {class: 'hint', text: 'drag to zoom, double-click for all'})),
      el('h3', {text: 'Loss'}), this.loss.root,
      el('div', {class: 'sub-head'}, el('h3', {text: 'Temperatures'}), this.chips), this.heats.map(one => one.root),
      el('div', {class: 'sub-head'}, this.otherSelect), this.third.root);
    this.parts.push(this.loss, ...this.heats.map(one => one.chart), this.third);
  }

  select(label, metrics, chosen, onChange) {
    const box = el('select', {onchange: () => onChange(metric(box.value))},
      metrics.map(m => el('option', {value: m.key, selected: m.key === chosen.key}, m.unit ? `${m.name} (${m.unit})` : m.name)));
    return el('label', {}, `${label} `, box);
  }

  makeRest() {
    this.heatBox = el('section', {class: 'panel', 'aria-labelledby': 'heat-title'});
    this.layerBox = el('div', {class: 'layer-box'});
    this.balance = new BalancePanel({run: this.name, signal: this.signal, onPick: name => {
      this.openLayer(name);
      this.layerBox.scrollIntoView();
    }});
    this.states = new StatesPanel({run: this.name, signal: this.signal});
    this.phase = new PhasePlane({onCursor: (step, who) => this.cursor(step, who)});
    this.parts.push(this.phase);
    this.phaseBox = el('section', {class: 'panel', 'aria-labelledby': 'phase-title'},
      el('div', {class: 'panel-head'}, el('h2', {id: 'phase-title', text: 'Phase plane'}),
        el('span', {class: 'hint', text: 'the run’s path of energy over entropy; its slope is a temperature'})), this.phase.root);
    this.alerts = new AlertList({withRun: false, onChange: () => this.loadAlerts()});
    this.alertNote = el('p', {class: 'soft'});
    this.alertBox = el('section', {class: 'panel', 'aria-labelledby': 'run-alerts-title'},
      el('div', {class: 'panel-head'}, el('h2', {id: 'run-alerts-title', text: 'Alerts'})), this.alertNote, this.alerts.root);
    this.eventList = el('ol', {class: 'events'});
    this.eventBox = el('details', {class: 'panel', hidden: true}, el('summary', {}, el('h2', {text: 'Events'})), this.eventList);
    this.factList = el('dl', {class: 'fact-list'});
    this.factBox = el('details', {class: 'panel'}, el('summary', {}, el('h2', {text: 'What the job said of itself'})), this.factList);
  }

  makeHeat() {
    const layers = this.run.layers.map(layer => layer.name);
    this.heat = new HeatMap({run: this.name, layers, onPick: name => this.openLayer(name), onWheel: (what, step) => this.wheel(what, step),
      onZoom: (from, to) => this.setZoom(from, to), onCursor: (step, who) => this.cursor(step, who),
      onRead: text => {
        setText(this.heatRead, text);
        announce(text);
      }});
    this.parts.push(this.heat);
    this.heatRead = el('span', {class: 'readout'});
    this.heatSentence = el('p', {class: 'sentence-line'});
    this.relative = el('input', {type: 'checkbox', onchange: () => this.loadHeat()});
    this.heatBox.replaceChildren(
      el('div', {class: 'panel-head'}, el('h2', {id: 'heat-title', text: 'Layers'}),
        this.select('Colour by', ofLayers, this.heatMetric, m => {
          this.heatMetric = m;
          this.loadHeat();
          this.address();
        }),
        el('label', {title: 'Each step’s layers against the middle one: hot and cold layers stand out'}, this.relative, ' against the middle layer'),
        this.heatRead),
      this.heatSentence, this.heat.root,
      el('p', {class: 'hint', text: 'Click a layer for its thermometers. Drag, or turn the wheel with Ctrl, to zoom; Shift and the wheel pan. Triangles are alerts of a layer. The strip on the right is every layer now.'}));
    if (this.layerName && layers.includes(this.layerName)) this.openLayer(this.layerName);
  }

  async start() {
    while (!await this.begin()) {
      await new Promise(resolve => setTimeout(resolve, RETRY_MS));
      if (this.signal.aborted) return;
    }
    this.makeHeat();
    this.loadAlerts();
    this.loadEvents();
    this.balance.load();
    this.offerStates();
    this.follow();
    await this.load();
    this.keepLoading();
  }

  // Whether the run is there to be shown: its job may not have begun, the daemon may be away for a moment.
  async begin() {
    try {
      await this.loadRun();
    } catch (error) {
      if (error.name !== 'AbortError') this.tell(error.message);
      return false;
    }
    this.tell('');
    this.head.classList.remove('unknown');
    this.body.hidden = false;
    return true;
  }

  tell(text) {
    this.note.hidden = !text;
    setText(this.note, text);
  }

  async loadRun() {
    this.run = await get(runPath(this.name), this.signal);
    this.setStatus(this.run.status);
    if (this.run.temperature) this.take(this.run.temperature);
    else this.drawHead();
    this.drawFacts();
  }

  setStatus(status) {
    this.liveStatus = status;
    setText(this.status, status);
    this.dot.className = `dot ${status}`;
  }

  // A new reading, from the stream or the run.
  take(newest) {
    this.newest = newest;
    if (newest.step !== null && !(newest.step <= this.last)) this.last = newest.step;
    if (this.stateNumber !== undefined && newest.state_number !== this.stateNumber) this.offerStates();
    this.stateNumber = newest.state_number;
    this.cards.update(newest);
    this.more.update(newest);
    setText(this.at, newest.step === null ? 'before the first step' : `step ${count(newest.step)}, state ${newest.state}`);
    this.drawHead();
    if (this.layerPanel) this.layerPanel.take(newest);
  }

  drawHead() {
    const loss = this.newest?.energy ?? this.run.loss;
    const since = this.run.ended ? `took ${duration(this.run.ended - this.run.started)}` : `started ${ago(this.run.started)}`;
    const quadrant = this.newest?.quadrant;
    setText(this.facts, [this.run.project, `step ${count(this.last ?? this.run.last_step)}`, `loss ${number(loss)}`, quadrant, since]
      .filter(Boolean).join(' · '));
    this.facts.title = moment(this.run.started);
  }

  async follow() {
    await stream(runPath(this.name, '/stream?detail=full'), this.signal, (kind, data) => {
      if (kind === 'temperature') {
        this.stale = this.stale || data.step !== this.last;
        this.take(data);
      } else if (kind === 'status') this.setStatus(data.status);
      else if (kind === 'alert' || kind === 'gap') this.loadAlerts();
      else if (kind === 'end') {
        this.offerStates();
        return isLive(this.liveStatus);
      } else if (kind === 'gone') {
        this.setStatus('deleted');
        this.tell('This run was deleted; what is drawn is what this page had of it.');
      }
      return false;
    });
  }

  // The series of a live run are asked for again when something came, never without a pause.
  async keepLoading() {
    while (!this.signal.aborted) {
      await new Promise(resolve => setTimeout(resolve, Math.max(FASTEST_MS, SLACK * (this.took || 0))));
      if (this.stale && !document.hidden && !this.signal.aborted) {
        this.stale = false;
        await this.load(true);
        this.balance.load();
        if (this.work() <= AT_ONCE / 10) this.states.load();
      }
    }
  }

  // Steps times layers: what walking through the whole run costs.
  work() {
    const {from, to} = this.wholeRun();
    return (to - from + 1) * this.run.layers.length;
  }

  offerStates() {
    if (this.run) this.states.offer(this.work());
  }

  range() {
    const first = this.run.first_step ?? 0, last = Math.max(first, this.last ?? this.run.last_step ?? first);
    return this.zoom || {from: first, to: last};
  }

  // What is in view, from the server: never more points than the screen has.
  async load(again = false) {
    if (!this.run) return;
    const began = performance.now(), {from, to} = this.range();
    if (this.loading) this.loading.abort();
    const loading = (this.loading = new AbortController());
    this.signal.addEventListener('abort', () => loading.abort());
    const warm = thermometers.filter(m => this.drawn.has(m.short));
    const metrics = ['loss', ...warm.map(m => m.key), this.other.key, 'energy', 'entropy'];
    const points = Math.max(200, Math.min(POINTS, Math.floor(this.root.clientWidth / 2)));
    this.drawRange(from, to);
    this.see(from, to);
    try {
      const answer = await ask(this.name, {metrics: [...new Set(metrics)], from, to, points}, loading.signal);
      const found = key => answer.series.find(s => s.metric === key && s.layer === null) || {step: [], value: []};
      this.charted = {from, to, found, warm};
      this.drawCharts();
      this.phase.set(found('energy'), found('entropy'));
      this.loadBands(from, to, loading.signal);
      await this.loadHeat();
      this.loadLayer(again);
      this.tell('');
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.stale = this.stale || !error.status || error.status >= 500; // the daemon may answer the next time
      this.tell(error.message);
    }
    this.took = performance.now() - began;
  }

  // The intervals may take longer than the values: the curves do not wait for them.
  async loadBands(from, to, signal) {
    const metrics = [...this.charted.warm, this.other].filter(m => m.thermometer || instruments.includes(m)).map(m => m.key);
    if (!metrics.length) return this.bands.clear();
    try {
      const answer = await ask(this.name, {metrics, from, to, points: 2, intervals: BANDS}, signal);
      if (signal.aborted) return;
      answer.series.forEach(one => this.bands.set(one.metric, one.interval));
      this.drawCharts();
    } catch (error) {
      if (error.name !== 'AbortError') this.bands.clear(); // the curves stand without them
    }
  }

  drawCharts() {
    if (!this.charted) return;
    const {from, to, found, warm} = this.charted, marks = this.marks();
    this.loss.set({series: [{label: 'loss', ...found('loss')}], from, to, marks});
    this.heats.forEach(({unit, chart, root}, i) => {
      const here = warm.filter(m => m.unit === unit);
      root.hidden = !here.length && (i > 0 || warm.length > 0);
      if (!root.hidden) chart.set({series: here.map(m => ({label: m.name.toLowerCase(), colour: lineColour(thermometers.indexOf(m)), ...found(m.key), interval: this.bands.get(m.key)})), from, to, marks});
    });
    this.third.set({series: [{label: this.other.name.toLowerCase(), ...found(this.other.key), interval: this.bands.get(this.other.key)}], from, to, marks});
  }

  drawRange(from, to) {
    setText(this.rangeText, `steps ${count(from)} to ${count(to)}`);
    this.whole.hidden = this.earlier.hidden = this.afterwards.hidden = !this.zoom;
  }

  async loadHeat() {
    if (!this.heat) return;
    const {from, to} = this.range(), newest = new Map();
    (this.newest?.layers || []).forEach(layer => newest.set(layer.name, read(reading(layer, false, this.heatMetric).value)));
    setText(this.heatSentence, `${this.heatMetric.sentence}${this.heatMetric.unit ? ` In ${this.heatMetric.unit}.` : ''}`);
    await this.heat.show({metric: this.heatMetric, from, to, relative: this.relative.checked, newest, marks: this.marks()});
  }

  setZoom(from, to) {
    this.zoom = from === null ? null : {from, to};
    const range = this.range();
    this.drawRange(range.from, range.to);
    this.see(range.from, range.to);
    clearTimeout(this.later);
    this.later = setTimeout(() => {
      this.address();
      announce(this.zoom ? `Steps ${from} to ${to}` : 'The whole run');
      this.load();
    }, SETTLE_MS);
  }

  // What is drawn already is moved at once; the daemon is asked when the range has settled.
  see(from, to) {
    this.parts.forEach(part => part.see && part.see(from, to));
    if (this.layerPanel) this.layerPanel.see(from, to);
  }

  wholeRun() {
    const from = this.run.first_step ?? 0;
    return {from, to: Math.max(from + 1, this.last ?? 0, this.run.last_step ?? 0)};
  }

  // A range of zoom.js, null for the whole.
  goTo(range) {
    this.setZoom(range ? range.from : null, range ? range.to : null);
  }

  wheel({factor, part}, step) {
    if (!this.run || (!factor && !this.zoom)) return;
    this.goTo(factor ? zoomed(this.range(), this.wholeRun(), factor, step) : panned(this.range(), this.wholeRun(), part));
  }

  address() {
    const query = new URLSearchParams();
    if (this.zoom) Object.entries(this.zoom).forEach(([key, v]) => query.set(key, String(v)));
    if (this.heatMetric.key !== 'temperature.kinetic') query.set('metric', this.heatMetric.key);
    if (this.layerName) query.set('layer', this.layerName);
    const text = query.toString();
    this.replace(`#/run/${encodeURIComponent(this.name)}${text ? `?${text}` : ''}`);
  }

  cursor(step, who) {
    [...this.parts, ...(this.layerPanel ? this.layerPanel.charts : [])].forEach(part => part !== who && part.follow(step));
  }

  marks() {
    const events = (this.events || []).map(e => ({step: e.step ?? e.after_step, kind: 'event', text: e.name}));
    const alerts = (this.alertData || []).filter(a => a.step !== null && a.state !== 'pending').map(a =>
      ({step: a.step, kind: a.severity, layer: a.layer, text: `${a.rule.replaceAll('_', ' ')}, ${a.layer ? `layer ${a.layer}` : 'whole run'}: ${a.summary}`}));
    return [...events, ...alerts];
  }

  async loadAlerts() {
    try {
      const page = await get(`/api/v1/alerts?run=${encodeURIComponent(this.name)}&limit=200`, this.signal);
      this.alertData = page.alerts;
      this.alerts.update(page.alerts);
      setText(this.alertNote, page.alerts.length ? '' : 'None so far.');
      this.countAlerts(page.alerts);
      if (this.heat?.view) this.heat.mark(this.marks());
      this.drawCharts();
    } catch (error) {
      if (error.name !== 'AbortError') setText(this.alertNote, error.message);
    }
  }

  countAlerts(alerts) {
    const firing = alerts.filter(a => a.state === 'firing').length;
    setText(this.alertButton, firing ? `${firing} ${firing === 1 ? 'alert fires' : 'alerts fire'}` : alerts.length ? `Alerts (${alerts.length} past)` : 'Alerts');
    this.alertButton.classList.toggle('hot', firing > 0);
  }

  async loadEvents() {
    try {
      const page = await get(runPath(this.name, '/events?limit=500'), this.signal);
      this.events = page.events;
      this.eventBox.hidden = !page.events.length;
      this.eventList.replaceChildren(...page.events.map(event => el('li', {}, el('b', {text: event.name}),
        ` step ${count(event.step ?? event.after_step)}`, el('span', {class: 'soft', text: event.data ? ` ${JSON.stringify(event.data)}` : ''}))));
      this.drawCharts();
    } catch (error) {
      if (error.name !== 'AbortError') this.eventBox.hidden = true;
    }
  }

  openLayer(name) {
    this.layerName = name;
    if (this.layerPanel) this.layerPanel.destroy();
    const layer = this.run.layers.find(l => l.name === name);
    this.layerPanel = new LayerPanel({run: this.name, layer, onClose: () => this.closeLayer(), onChange: () => this.loadLayer(false), signal: this.signal,
      chart: this.chartOptions});
    this.layerBox.replaceChildren(this.layerPanel.root);
    if (this.newest) this.layerPanel.take(this.newest);
    this.heat.choose(name);
    this.address();
    this.loadLayer(false);
    announce(`Layer ${name}`);
  }

  loadLayer(again) {
    if (this.layerPanel && this.run) this.layerPanel.load(this.range(), this.heatMetric, this.marks(), again);
  }

  closeLayer() {
    this.layerPanel.destroy();
    this.layerPanel = this.layerName = null;
    this.layerBox.replaceChildren();
    this.heat.choose(null);
    this.address();
    this.heat.frame.focus();
  }

  toggleSentences() {
    const on = this.root.classList.toggle('explained');
    this.explain.setAttribute('aria-pressed', String(on));
  }

  drawFacts() {
    const run = this.run, optimizer = run.optimizer || {};
    const shown = {
      layers: `${count(run.layers.length)}, ${count(run.layers.reduce((sum, l) => sum + (l.n || 0), 0))} parameters`,
      loss: run.loss_function, optimizer: Object.entries(optimizer).map(([k, v]) => (k === 'name' ? v : `${k} ${JSON.stringify(v)}`)).join(', '),
      'batch size': count(run.batch_size), 'data set': run.dataset_size ? `${count(run.dataset_size)} samples` : null,
      tags: run.tags && Object.entries(run.tags).map(([k, v]) => `${k}=${v}`).join(', '),
      started: moment(run.started), 'last seen': moment(run.last_seen), ended: run.ended ? moment(run.ended) : null,
      attempts: run.attempts && run.attempts.length > 1 ? String(run.attempts.length) : null,
    };
    this.factList.replaceChildren(...Object.entries(shown).filter(([, v]) => v && v !== MISSING)
      .flatMap(([k, v]) => [el('dt', {text: k}), el('dd', {text: v})]));
  }

  // 0 all, + and - zoom about the middle, arrows pan, e explains, Escape closes the layer.
  key(event) {
    if (!this.run) return false;
    const range = this.range(), whole = this.wholeRun(), narrower = () => this.goTo(zoomed(range, whole, 0.5));
    const acts = {
      0: () => this.setZoom(null, null), '+': narrower, '=': narrower, '-': () => this.goTo(zoomed(range, whole, 2)),
      ArrowLeft: () => this.zoom && this.goTo(panned(range, whole, -0.25)), ArrowRight: () => this.zoom && this.goTo(panned(range, whole, 0.25)),
      e: () => this.toggleSentences(), Escape: () => this.layerPanel && this.closeLayer(),
    };
    if (!acts[event.key]) return false;
    acts[event.key]();
    return true;
  }
}
