// The rules in force: what each means to someone on call, by which figures it judges, what it has fired.
import {get} from './api.js';
import {el, setText} from './dom.js';
import {MISSING, count, number} from './format.js';

const TEXTS = [['means', 'What it means'], ['causes', 'Usual causes'], ['remedy', 'What to do']];

// For someone on call; nothing for a rule of the configuration's own.
export function advice(rule) {
  const texts = TEXTS.filter(([key]) => rule && rule[key]);
  return texts.length ? el('dl', {class: 'advice'}, texts.flatMap(([key, title]) => [el('dt', {text: title}), el('dd', {text: rule[key]})])) : null;
}

let asked = null;

// The rule as the daemon has it; asked for once.
export function ruleNamed(name) {
  asked = asked || get('/api/v1/rules').catch(() => (asked = null));
  return asked.then(answer => answer && answer.rules.find(r => r.rule === name));
}

const span = (steps, seconds) => (seconds > 0 ? `${number(seconds)} s` : `${count(steps)} ${steps === 1 ? 'step' : 'steps'}`);

function figures(r) {
  const bounds = [['fires above', r.fire_above], ['clears below', r.clear_below], ['fires below', r.fire_below], ['clears above', r.clear_above]]
    .filter(([, x]) => x !== null).map(([what, x]) => `${what} ${number(x)}`);
  const scope = ['layer', 'run', 'project'].filter(key => r[key]).map(key => `only ${key} ${r[key]}`);
  return [...bounds, `for ${span(r.for_steps, r.for_seconds)}`, r.warmup_steps ? `from step ${count(r.warmup_steps)} on` : '', ...scope].filter(Boolean).join(' · ');
}

export class RulesView {
  constructor({signal, name}) {
    Object.assign(this, {signal, name});
    this.list = el('ul', {class: 'alert-list'});
    this.note = el('p', {class: 'empty', hidden: true});
    this.root = el('section', {class: 'view', 'aria-labelledby': 'rules-title'}, el('div', {class: 'view-head'}, el('h1', {id: 'rules-title', text: 'Rules'})),
      this.list, this.note);
  }

  item(r) {
    const title = el('b', {text: r.rule.replaceAll('_', ' ')});
    const state = r.enabled ? `${count(r.fired)} fired` : 'off';
    return el('li', {class: `alert ${r.enabled ? r.severity : ''}`, 'data-rule': r.rule},
      el('div', {class: 'alert-head'}, el('span', {class: 'severity', text: r.severity}), title, el('span', {class: 'alert-state', text: state})),
      el('p', {class: 'alert-summary', text: r.help || `Judges ${r.metric || MISSING}; a rule of this configuration's own.`}),
      el('p', {class: 'alert-facts', text: figures(r)}), advice(r));
  }

  async start() {
    try {
      const {rules} = await get('/api/v1/rules', this.signal);
      this.list.replaceChildren(...rules.map(r => this.item(r)));
      const wanted = this.name && this.list.children[rules.findIndex(r => r.rule === this.name)];
      if (!wanted) return;
      wanted.classList.add('wanted');
      wanted.tabIndex = -1;
      wanted.scrollIntoView();
      wanted.focus({preventScroll: true});
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.note.hidden = false;
      setText(this.note, error.message || MISSING);
    }
  }

  key() {
    return false;
  }
}
