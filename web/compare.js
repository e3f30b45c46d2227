// Several runs on one plot.
import {get, series as ask} from './api.js';
import {Chart, lineColour} from './chart.js';
import {el, onTheme, setText} from './dom.js';
import {LOSS, metric, ofRun} from './metrics.js';

const MOST = 8; // colours that can be told apart
const REFRESH_MS = 3000;

export class CompareView {
  constructor({signal, query, replace}) {
    Object.assign(this, {signal, replace});
    this.runs = [...new Set(query.getAll('run'))].slice(0, MOST);
    this.metric = metric(query.get('metric') || LOSS.key);
    this.zoom = null;
    this.names = [];
    this.chartBox = el('div');
    this.note = el('p', {class: 'empty'});
    this.picked = el('ul', {class: 'picked'});
    this.sentence = el('p', {class: 'sentence-line'});
    this.add = el('input', {type: 'search', list: 'all-runs', placeholder: 'Add a run', 'aria-label': 'Add a run',
      onchange: () => this.addRun(this.add.value)});
    this.options = el('datalist', {id: 'all-runs'});
    const choose = el('select', {onchange: () => {
      this.metric = metric(choose.value);
      this.address();
      this.remake();
    }}, ofRun.map(m => el('option', {value: m.key, selected: m.key === this.metric.key}, m.name)));
    this.whole = el('button', {type: 'button', hidden: true, onclick: () => this.setZoom(null, null)}, 'All steps');
    this.root = el('section', {class: 'view compare', 'aria-labelledby': 'compare-title'},
      el('div', {class: 'view-head'}, el('h1', {id: 'compare-title', text: 'Compare'}), el('label', {}, 'Draw ', choose), this.add, this.options, this.whole),
      this.picked, el('div', {class: 'panel'}, this.sentence, this.chartBox, this.note));
    this.stopTheme = onTheme(() => this.drawPicked());
    signal.addEventListener('abort', () => {
      this.stopTheme();
      if (this.chart) this.chart.destroy();
    });
    this.remake(true);
  }

  remake(first) {
    if (this.chart) this.chart.destroy();
    this.chart = new Chart({title: `${this.metric.name} of several runs over steps`, height: 420, scale: this.metric.scale,
      onZoom: (from, to) => this.setZoom(from, to)});
    this.chartBox.replaceChildren(this.chart.root);
    setText(this.sentence, this.metric.sentence);
    if (!first) this.load();
  }

  async start() {
    this.drawPicked();
    get('/api/v1/runs?limit=200', this.signal).then(page => {
      this.names = page.runs.map(run => run.run);
      this.options.replaceChildren(...this.names.map(name => el('option', {value: name})));
    }).catch(() => {});
    while (!this.signal.aborted) {
      if (!document.hidden) await this.load();
      await new Promise(resolve => {
        setTimeout(resolve, Math.max(REFRESH_MS, 5 * (this.took || 0)));
        this.signal.addEventListener('abort', resolve, {once: true});
      });
    }
  }

  addRun(name) {
    this.add.value = '';
    if (!name || this.runs.includes(name)) return;
    if (this.runs.length >= MOST) {
      setText(this.note, `At most ${MOST} runs: more could not be told apart.`);
      return;
    }
    this.runs.push(name);
    this.changed();
  }

  changed() {
    this.address();
    this.drawPicked();
    this.load();
  }

  address() {
    const query = new URLSearchParams(this.runs.map(run => ['run', run]));
    if (this.metric.key !== LOSS.key) query.set('metric', this.metric.key);
    this.replace(`#/compare?${query}`);
  }

  drawPicked() {
    this.picked.replaceChildren(...this.runs.map((run, i) => {
      const swatch = el('span', {class: 'swatch'});
      swatch.style.background = lineColour(i);
      return el('li', {}, swatch, el('a', {href: `#/run/${encodeURIComponent(run)}`, text: run}),
        el('button', {type: 'button', class: 'quiet', 'aria-label': `Remove ${run}`, onclick: () => {
          this.runs.splice(i, 1);
          this.changed();
        }}, '×'));
    }));
  }

  setZoom(from, to) {
    this.zoom = from === null ? null : {from, to};
    this.whole.hidden = !this.zoom;
    this.load();
  }

  async load() {
    const began = performance.now(), range = this.zoom || {};
    const problems = [];
    const answers = await Promise.all(this.runs.map(run => ask(run, {metrics: [this.metric.key], points: 500, ...range}, this.signal)
      .catch(error => {
        if (error.name !== 'AbortError') problems.push(`${run}: ${error.message}`);
        return null;
      })));
    if (this.signal.aborted) return;
    this.sentence.hidden = this.chartBox.hidden = !this.runs.length;
    const lines = answers.map((answer, i) => ({label: this.runs[i], colour: lineColour(i), ...(answer?.series[0] || {step: [], value: []})}));
    const steps = lines.flatMap(line => (line.step.length ? [line.step[0], line.step[line.step.length - 1]] : []));
    const from = this.zoom ? this.zoom.from : Math.min(...steps, steps.length ? Infinity : 0), to = this.zoom ? this.zoom.to : Math.max(1, ...steps);
    setText(this.note, problems.join(' ') || (this.runs.length ? '' : 'Pick runs here, or on the page of runs, to lay them over each other.'));
    this.chart.set({series: lines, from, to, marks: []});
    this.took = performance.now() - began;
  }

  key(event) {
    if (event.key !== '0') return false;
    this.setZoom(null, null);
    return true;
  }
}
