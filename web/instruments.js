// Readings as cards: value, interval or reason, and what the instrument means.
import {el, setText} from './dom.js';
import {interval, number, value as read} from './format.js';

// What a reading says of a metric, whether it is a thermometer or a plain number.
export function reading(of, whole, metric) {
  if (!of) return {value: null};
  if (metric.thermometer) return (whole ? of.global : of)?.[metric.short] || {value: null};
  const [low, high] = of.intervals?.[metric.short] || [];
  return {value: of[metric.short] ?? null, low, high, reason: of.reasons?.[metric.short]};
}

export class Card {
  constructor(metric) {
    this.metric = metric;
    this.value = el('span', {class: 'card-value'});
    this.unit = el('span', {class: 'card-unit', text: metric.unit});
    this.range = el('span', {class: 'card-range'});
    this.root = el('div', {class: 'card', 'data-metric': metric.key},
      el('h3', {title: metric.sentence, text: metric.name}),
      el('p', {class: 'card-line'}, this.value, ' ', this.unit), this.range,
      el('p', {class: 'sentence', text: metric.sentence}));
  }

  update(r) {
    const known = read(r.value) !== null;
    setText(this.value, number(r.value));
    this.value.classList.toggle('wild', typeof r.value === 'string');
    this.unit.hidden = !known;
    this.root.classList.toggle('unknown', !known);
    setText(this.range, known ? interval(r.low, r.high) || r.reason || '' : r.reason || 'not measured');
    this.range.title = known && interval(r.low, r.high) ? '95% interval' : '';
  }
}

export class Cards {
  constructor(metrics, whole) {
    this.whole = whole;
    this.cards = metrics.map(metric => new Card(metric));
    this.root = el('div', {class: 'cards'}, this.cards.map(card => card.root));
  }

  update(of) {
    this.cards.forEach(card => card.update(reading(of, this.whole, card.metric)));
  }
}
