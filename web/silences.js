// The silences in force: what they match, until when, by whom; lifting one.
import {get, send} from './api.js';
import {announce, el, setText} from './dom.js';
import {duration} from './format.js';

let asked = null;

// Whether this daemon silences; asked of its own description once.
export function canSilence() {
  asked = asked || get('/api/v1/openapi.json').then(api => '/api/v1/silences' in api.paths, () => false);
  return asked;
}

// `why` may be empty.
export function silence(alert, hours, why) {
  const {rule, run, layer} = alert;
  const matchers = [['rule', rule], ['run', run], ['layer', layer || '']].map(([name, value]) => ({name, value}));
  return send('POST', '/api/v1/silences', {matchers, duration: `${hours}h`, created_by: 'dashboard', comment: why || `on the dashboard, for ${hours} h`});
}

const matcher = m => `${m.name} ${m.is_equal ? '' : 'not '}${m.is_regex ? '~' : '='} ${m.value === '' ? 'none' : m.value}`;

export class SilenceList {
  constructor({signal}) {
    this.signal = signal;
    this.list = el('ul', {class: 'silences'});
    this.note = el('p', {class: 'bad', role: 'alert'});
    this.root = el('section', {class: 'panel', hidden: true, 'aria-labelledby': 'silences-title'},
      el('div', {class: 'panel-head'}, el('h2', {id: 'silences-title', text: 'Silences in force'})), this.list, this.note);
  }

  async refresh() {
    if (!await canSilence()) return;
    const {silences} = await get('/api/v1/silences?limit=1000', this.signal); // no more can be in force
    const key = JSON.stringify(silences);
    this.root.hidden = !silences.length;
    if (key === this.key) return;
    this.key = key;
    this.list.replaceChildren(...silences.map(s => this.item(s)));
  }

  item(s) {
    const lift = el('button', {type: 'button', 'aria-label': `Lift silence ${s.id}`, onclick: () => this.lift(s.id)}, 'Lift');
    const left = typeof s.ends === 'number' ? `for ${duration(s.ends - Date.now() / 1000)} more` : '';
    return el('li', {'data-id': String(s.id)}, el('span', {text: s.matchers.map(matcher).join(', ')}),
      el('span', {class: 'soft', text: [left, s.created_by && `by ${s.created_by}`, s.comment].filter(Boolean).join(' · ')}), lift);
  }

  async lift(id) {
    try {
      await send('DELETE', `/api/v1/silences/${id}`);
      announce('The silence is lifted');
      await this.refresh();
      setText(this.note, '');
    } catch (error) {
      setText(this.note, error.message);
    }
  }
}
