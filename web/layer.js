// One layer: its thermometers, efficiency and stability now, and over the steps in view.
import {series as ask} from './api.js';
import {Chart} from './chart.js';
import {el, setText} from './dom.js';
import {count} from './format.js';
import {Cards} from './instruments.js';
import {metric, thermometers} from './metrics.js';

const MORE = ['stability', 'efficiency', 'coherence', 'drift', 'update_ratio', 'heat', 'entropy'].map(metric);
const ALSO = ['stability', 'efficiency'];
const BANDS = 100;

export class LayerPanel {
  constructor({run, layer, onClose, onZoom, signal}) {
    Object.assign(this, {run, layer, signal});
    this.cards = new Cards(thermometers, false);
    this.more = new Cards(MORE, false);
    this.engine = el('span', {class: 'soft'});
    this.note = el('p', {class: 'bad'});
    this.charts = [];
    this.chartBox = el('div', {class: 'layer-charts'});
    this.onZoom = onZoom;
    const facts = [layer.kind, layer.activation, layer.n ? `${count(layer.n)} parameters` : ''].filter(Boolean).join(' · ');
    this.root = el('section', {class: 'panel layer', 'aria-labelledby': 'layer-title'},
      el('div', {class: 'panel-head'}, el('h2', {id: 'layer-title', text: `Layer ${layer.name}`}), el('span', {class: 'soft', text: facts}),
        this.engine, el('button', {type: 'button', class: 'quiet', onclick: onClose, title: 'Close (Escape)'}, 'Close')),
      this.cards.root, this.more.root, this.note, this.chartBox);
  }

  destroy() {
    this.charts.forEach(chart => chart.destroy());
    if (this.loading) this.loading.abort();
  }

  take(reading) {
    const layer = (reading.layers || []).find(l => l.name === this.layer.name);
    this.cards.update(layer);
    this.more.update(layer);
    setText(this.engine, layer && layer.engine ? `${layer.engine} engine` : '');
  }

  // The metric of the picture, stability and efficiency over the same steps.
  async load({from, to}, chosen, marks) {
    if (this.loading) this.loading.abort();
    const {signal} = (this.loading = new AbortController());
    const metrics = [...new Set([chosen.key, ...ALSO])].map(metric);
    try {
      const points = Math.max(200, Math.min(600, Math.floor(this.root.clientWidth / 2)));
      const answer = await ask(this.run, {metrics: metrics.map(m => m.key), layers: [this.layer.name], from, to, points, intervals: BANDS}, signal);
      setText(this.note, '');
      this.draw(metrics, answer, from, to, marks);
    } catch (error) {
      if (error.name !== 'AbortError') setText(this.note, error.message);
    }
  }

  draw(metrics, answer, from, to, marks) {
    const key = metrics.map(m => m.key).join();
    if (key !== this.drawn) {
      this.charts.forEach(chart => chart.destroy());
      this.charts = metrics.map(m => new Chart({title: `${m.name} of layer ${this.layer.name} over steps`, height: 150, scale: m.scale, onZoom: this.onZoom}));
      this.chartBox.replaceChildren(...metrics.flatMap((m, i) => [el('h3', {text: m.name}), this.charts[i].root]));
      this.drawn = key;
    }
    const own = marks.filter(mark => mark.kind === 'event' || mark.text.includes(`layer ${this.layer.name}:`));
    metrics.forEach((m, i) => {
      const found = answer.series.find(s => s.metric === m.key) || {step: [], value: []};
      const heading = this.chartBox.children[2 * i];
      heading.hidden = this.charts[i].root.hidden = !found.step.length;
      if (found.step.length) this.charts[i].set({series: [{label: m.name.toLowerCase(), ...found}], from, to, marks: own});
    });
  }
}
