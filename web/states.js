// The run as a course of states: I from the initialisation, II and on with each refresh of the data, and what lies between.
import {get, runPath} from './api.js';
import {el, setText} from './dom.js';
import {MISSING, count, interval, number, value as read} from './format.js';
import {finite} from './scales.js';

export const AT_ONCE = 2e6; // steps times layers that the daemon is sent through without being asked to
const SHOWN = 50;

const signed = x => (finite(read(x)) && read(x) > 0 ? `+${number(x)}` : number(x));
const change = of => el('td', {class: 'number', title: `${number(of.start)} to ${number(of.end)}`}, signed(of.change),
  el('span', {class: 'from-to', text: `${number(of.start, 3)} to ${number(of.end, 3)}`}));

export class StatesPanel {
  constructor({run, signal}) {
    Object.assign(this, {run, signal});
    this.note = el('p', {class: 'soft'});
    this.body = el('tbody');
    this.ask = el('button', {type: 'button', hidden: true, onclick: () => this.load()}, 'Work them out');
    this.at = el('span', {class: 'soft'});
    this.table = el('table', {class: 'states', hidden: true}, el('caption', {class: 'sr', text: 'States'}),
      el('thead', {}, el('tr', {}, [['State'], ['Steps'], ['ΔE, loss', 'energy: what the loss changed by'], ['ΔS, nats', 'entropy of the weights'],
        ['T = ΔE / ΔS, loss / nat', 'transition temperature from the start of the state to its end'], ['Course'], ['Heat, loss', 'what all layers took from their batches'],
        ['Work, loss', 'what the loss jumped by at the refresh that began the state']].map(([name, title]) => el('th', {scope: 'col', title}, name)))), this.body);
    this.start = el('details', {hidden: true}, el('summary', {text: 'Entropy at the initialisation, as stated and as measured'}));
    this.root = el('section', {class: 'panel', id: 'states', 'aria-labelledby': 'states-title'},
      el('div', {class: 'panel-head'}, el('h2', {id: 'states-title', text: 'States'}), this.at),
      el('p', {class: 'sentence-line', text: 'State I begins with the initialisation, a state II with each refresh of the data. Within a state the weights move on fixed data: ' +
        'heat. At a refresh the data moves under fixed weights: work.'}),
      this.note, this.ask, el('div', {class: 'scrolled', tabindex: 0, role: 'region', 'aria-label': 'Course of states'}, this.table), this.start);
  }

  // work: steps times layers. The states are read off every stored step: for a very long run only when asked to.
  offer(work) {
    if (work <= AT_ONCE) return this.load();
    this.ask.hidden = false;
    setText(this.note, 'The daemon reads every step of the run for this, which for one so long takes a while.');
    return null;
  }

  async load() {
    this.ask.disabled = true;
    try {
      const answer = await get(runPath(this.run, '/states'), this.signal);
      this.ask.hidden = true;
      this.draw(answer);
    } catch (error) {
      if (error.name !== 'AbortError') setText(this.note, error.message);
    }
    this.ask.disabled = false;
  }

  draw({states, refreshes, initialisation, truncated}) {
    const work = new Map(refreshes.map(r => [r.to, r.work])); // by the step behind the refresh
    const rows = states.slice(-SHOWN);
    setText(this.at, states.length ? `as of step ${count(states.at(-1).to)}` : '');
    setText(this.note, !states.length ? 'No step yet.' : truncated || rows.length < states.length
      ? `The newest ${count(rows.length)} of ${truncated ? 'more than ' : ''}${count(states.length)} states.` : '');
    this.table.hidden = !rows.length;
    this.body.replaceChildren(...rows.map(state => this.row(state, work)));
    const known = initialisation.filter(layer => finite(read(layer.measured)));
    this.start.hidden = !known.length;
    this.start.replaceChildren(this.start.firstChild, this.beginning(known));
  }

  row(s, work) {
    const t = s.temperature || {};
    return el('tr', {}, el('th', {scope: 'row', text: s.number > 1 ? `${s.state}, refresh ${count(s.number)}` : s.state}),
      el('td', {text: `${count(s.from)} to ${count(s.to)}`}), change(s.energy), change(s.entropy),
      el('td', {class: 'number', title: t.reason}, number(t.value), el('span', {class: 'from-to', text: interval(t.low, t.high) || t.reason || ''})),
      el('td', {text: s.quadrant || MISSING}), el('td', {class: 'number', text: number(s.heat)}),
      el('td', {class: 'number', text: work.has(s.from) ? signed(work.get(s.from)) : MISSING}));
  }

  beginning(layers) {
    const columns = [['Layer'], ['Stated, nats'], ['Expected, nats', 'of a normal of the stated variance'], ['Measured, nats'], ['Difference'], ['Error', 'that drawing so many parameters gives it']];
    return el('div', {class: 'scrolled', tabindex: 0, role: 'region', 'aria-label': 'Entropy at the initialisation'}, el('table', {}, el('thead', {}, el('tr', {}, columns.map(([name, title]) => el('th', {scope: 'col', title}, name)))),
      el('tbody', {}, layers.slice(0, 200).map(layer => el('tr', {}, el('th', {scope: 'row', text: layer.layer}),
        ['stated', 'expected', 'measured', 'difference', 'error'].map(key => el('td', {class: 'number', text: number(layer[key])})))))));
  }
}
