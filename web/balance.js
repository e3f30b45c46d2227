// The energy balance sheet of a run, and its layers as the heat engines behind it.
import {get, runPath} from './api.js';
import {el, setText} from './dom.js';
import {MISSING, count, interval, number, value as read} from './format.js';
import {finite} from './scales.js';

const SHEET = [
  ['in', 'Came in', 'The first loss, and what refreshes of the data added.'],
  ['dissipated', 'Dissipated', 'What all layers took from the batches they saw, to first order: the sum of their heat.'],
  ['kept', 'Kept', 'How much less the loss really is now.'],
  ['returned', 'Returned', 'Dissipated less kept: taken from one batch, it came back on the next.'],
  ['energy', 'Left', 'The newest loss.'],
];
const FEW = 16; // layers at first

const share = x => (finite(read(x)) ? `${number(100 * read(x), 3)} %` : MISSING);

// A bar from nothing to the value, leftwards where it is negative. `reach`: the longest.
function bar(value, reach) {
  const v = read(value), part = finite(v) && reach > 0 ? Math.min(1, Math.abs(v) / reach) : 0;
  const inside = el('i', {class: v < 0 ? 'negative' : null});
  inside.style.width = `${100 * part}%`;
  return el('span', {class: 'sheet-bar', 'aria-hidden': 'true'}, inside);
}

const longest = values => Math.max(0, ...values.map(read).filter(finite).map(Math.abs));

export class BalancePanel {
  // options: run, signal, onPick(layer)
  constructor(options) {
    Object.assign(this, options);
    this.since = el('span', {class: 'soft'});
    this.sheet = el('tbody');
    this.layers = el('tbody');
    this.note = el('p', {class: 'bad'});
    this.all = el('button', {type: 'button', hidden: true, onclick: () => {
      this.shown = Infinity;
      this.draw();
    }});
    this.shown = FEW;
    const head = names => el('thead', {}, el('tr', {}, names.map(([name, title]) => el('th', {scope: 'col', title}, name))));
    this.root = el('section', {class: 'panel balance', id: 'balance', 'aria-labelledby': 'balance-title'},
      el('div', {class: 'panel-head'}, el('h2', {id: 'balance-title', text: 'Energy balance'}), this.since),
      el('p', {class: 'sentence-line', text: 'What the loss at the start became: what each layer took from its batches, and how much of that the run kept. ' +
        'Little kept of much dissipated says that steps fit the noise of their batch: a lower learning rate or a larger batch.'}),
      this.note,
      el('div', {class: 'scrolled', tabindex: 0, role: 'region', 'aria-label': 'Balance sheet'},
        el('table', {class: 'sheet'}, el('caption', {class: 'sr', text: 'Energy balance, in units of the loss'}), this.sheet)),
      el('div', {class: 'scrolled', tabindex: 0, role: 'region', 'aria-label': 'Layers as heat engines'},
        el('table', {class: 'engines'}, el('caption', {class: 'sr', text: 'Layers as heat engines'}),
          head([['Layer'], ['Activation'], ['Engine', 'lossless: hands on all it is given; dissipative: less'], ['Heat, loss', 'What its updates took from the loss, over all states'],
            ['Share', 'of what all layers dissipated'], ['Efficiency', 'mean square of the output over that of the input'],
            ['Ratio', 'efficiency over that of this activation on normal input; 0.8 to 1.3 is common'], ['Dead', 'share of the units that give nothing'],
            ['Saturated', 'share of the units within 1% of a bound']]), this.layers)),
      this.all);
  }

  // Only the newest answer is drawn; a live run's sheet is made of what is published and costs the daemon little.
  async load() {
    try {
      this.engine = await get(runPath(this.run, '/engine'), this.signal);
      this.draw();
    } catch (error) {
      if (error.name !== 'AbortError') setText(this.note, error.message);
    }
  }

  draw() {
    const {balance, layers, step} = this.engine;
    const range = step === null || balance.since === null ? '' : `steps ${count(balance.since)} to ${count(step)}, in units of the loss`;
    setText(this.since, [range, this.engine.class && `the network is ${this.engine.class}`].filter(Boolean).join(' · '));
    this.since.title = this.engine.reason || '';
    setText(this.note, '');
    const reach = longest(SHEET.map(([key]) => balance[key]));
    this.sheet.replaceChildren(...SHEET.map(([key, name, meaning]) => this.line(key, name, meaning, balance, reach)));
    const most = longest(layers.map(layer => layer.heat));
    this.layers.replaceChildren(...layers.slice(0, this.shown).map(layer => this.layer(layer, most)));
    this.all.hidden = layers.length <= this.shown;
    setText(this.all, `All ${count(layers.length)} layers`);
  }

  line(key, name, meaning, balance, reach) {
    const [low, high] = balance.intervals?.[key] || [];
    const more = [interval(low, high), key === 'kept' && finite(read(balance.kept_share)) ? `${share(balance.kept_share)} of what was dissipated` : '',
      key === 'in' && balance.refreshes ? `${count(balance.refreshes)} ${balance.refreshes === 1 ? 'refresh' : 'refreshes'} added ${number(balance.work)}` : '']
      .filter(Boolean).join(' · ');
    return el('tr', {'data-key': key}, el('th', {scope: 'row', text: name}), el('td', {class: 'number', text: number(balance[key])}),
      el('td', {class: 'bar'}, bar(balance[key], reach)),
      el('td', {}, balance.reasons?.[key] || meaning, more ? el('span', {class: 'soft', text: ` ${more}`}) : null));
  }

  layer(layer, most) {
    const figure = (key, show = number) => el('td', {class: 'number', title: layer.reasons?.[key], text: read(layer[key]) === null ? MISSING : show(layer[key], 3)});
    const pick = el('button', {type: 'button', class: 'link-like', text: layer.name, onclick: () => this.onPick(layer.name)});
    return el('tr', {'data-layer': layer.name}, el('th', {scope: 'row'}, pick), el('td', {text: layer.activation || MISSING}),
      el('td', {text: layer.class || MISSING, title: layer.reasons?.class}),
      el('td', {class: 'heat-cell'}, bar(layer.heat, most), el('span', {text: number(layer.heat, 3), title: layer.reasons?.heat})),
      figure('heat_share', share), figure('efficiency'), figure('ratio'), figure('dead', share), figure('saturated', share));
  }
}
