// One layer: its thermometers, efficiency and stability now, and over the steps in view.
import {series as ask} from './api.js';
import {Chart, lineColour} from './chart.js';
import {el, setText} from './dom.js';
import {count} from './format.js';
import {Cards} from './instruments.js';
import {metric, thermometers} from './metrics.js';

const MORE = ['stability', 'efficiency', 'coherence', 'drift', 'update_ratio', 'heat', 'entropy'].map(metric);
const ALSO = ['stability', 'efficiency'];
const DRAWN = ['temperature.kinetic', 'temperature.configurational'];
const BANDS = 150;

// A thermometer has the same colour wherever it is drawn.
const colourOf = m => lineColour(m.thermometer ? thermometers.indexOf(m) : 0);

export class LayerPanel {
  // options: run, layer, onClose(), onChange() when something else is to be drawn, signal, chart (options of every chart)
  constructor({run, layer, onClose, onChange, signal, chart}) {
    Object.assign(this, {run, layer, signal, chartOptions: chart});
    this.drawn = new Set(DRAWN);
    this.cards = new Cards(thermometers, false);
    this.more = new Cards(MORE, false);
    this.engine = el('span', {class: 'soft'});
    this.note = el('p', {class: 'bad'});
    this.charts = [];
    this.chartBox = el('div', {class: 'layer-charts'});
    this.chips = el('div', {class: 'chips', role: 'group', 'aria-label': 'Temperatures of the layer drawn'}, thermometers.map(m =>
      el('button', {type: 'button', class: 'chip', 'aria-pressed': String(this.drawn.has(m.key)), title: m.sentence, onclick: event => {
        if (!this.drawn.delete(m.key)) this.drawn.add(m.key);
        event.currentTarget.setAttribute('aria-pressed', String(this.drawn.has(m.key)));
        onChange();
      }}, m.name)));
    const facts = [layer.kind, layer.activation, layer.n ? `${count(layer.n)} parameters` : ''].filter(Boolean).join(' · ');
    this.root = el('section', {class: 'panel layer', 'aria-labelledby': 'layer-title'},
      el('div', {class: 'panel-head'}, el('h2', {id: 'layer-title', text: `Layer ${layer.name}`}), el('span', {class: 'soft', text: facts}),
        this.engine, el('button', {type: 'button', class: 'quiet', onclick: onClose, title: 'Close (Escape)'}, 'Close')),
      this.cards.root, this.more.root,
      el('div', {class: 'sub-head'}, el('h3', {text: 'Over steps'}), this.chips), this.note, this.chartBox);
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

  see(from, to) {
    this.charts.forEach(chart => chart.see(from, to));
  }

  // What is drawn, a plot each: temperatures of the same unit together, the metric of the picture, stability, efficiency.
  plots(chosen) {
    const warm = thermometers.filter(m => this.drawn.has(m.key) || m.key === chosen.key);
    const groups = [...new Set(warm.map(m => m.unit))].map(unit => warm.filter(m => m.unit === unit));
    return [...groups, ...[...new Set([...(chosen.thermometer ? [] : [chosen.key]), ...ALSO])].map(key => [metric(key)])];
  }

  async load({from, to}, chosen, marks) {
    if (this.loading) this.loading.abort();
    const {signal} = (this.loading = new AbortController());
    const plots = this.plots(chosen), metrics = plots.flat();
    try {
      const points = Math.max(200, Math.min(600, Math.floor(this.root.clientWidth / 2)));
      const query = {metrics: metrics.map(m => m.key), layers: [this.layer.name], from, to};
      const answer = await ask(this.run, {...query, points}, signal);
      setText(this.note, '');
      this.draw(plots, answer, from, to, marks);
      // The intervals may take longer.
      const bands = await ask(this.run, {...query, points: 2, intervals: BANDS}, signal);
      const bandOf = key => bands.series.find(one => one.metric === key)?.interval;
      this.draw(plots, {series: answer.series.map(one => ({...one, interval: bandOf(one.metric)}))}, from, to, marks);
    } catch (error) {
      if (error.name !== 'AbortError') setText(this.note, error.message);
    }
  }

  draw(plots, answer, from, to, marks) {
    const key = plots.map(plot => plot.map(m => m.key).join()).join(';');
    if (key !== this.plotted) {
      const titles = plots.map(plot => `${plot.map(m => m.name).join(', ')}${plot[0].unit ? `, ${plot[0].unit}` : ''}`);
      this.charts.forEach(chart => chart.destroy());
      this.charts = plots.map((plot, i) => new Chart({...this.chartOptions, title: `${titles[i]} of layer ${this.layer.name} over steps`, height: 170,
        scale: plot.every(m => m.scale === plot[0].scale) ? plot[0].scale : 'signed'}));
      this.chartBox.replaceChildren(...titles.flatMap((title, i) => [el('h3', {text: title}), this.charts[i].root]));
      this.plotted = key;
    }
    const own = marks.filter(mark => mark.kind === 'event' || mark.layer === this.layer.name);
    plots.forEach((plot, i) => {
      const found = plot.map(m => ({m, one: answer.series.find(s => s.metric === m.key)})).filter(({one}) => one && one.step.length);
      const heading = this.chartBox.children[2 * i];
      heading.hidden = this.charts[i].root.hidden = !found.length;
      if (found.length) this.charts[i].set({series: found.map(({m, one}) => ({label: m.name.toLowerCase(), colour: colourOf(m), ...one})), from, to, marks: own});
    });
  }
}
