// Alerts: the list, acknowledging, and silencing where the daemon can.
import {get, send} from './api.js';
import {announce, el, setText} from './dom.js';
import {advice, ruleNamed} from './rules.js';
import {SilenceList, canSilence, silence} from './silences.js';
import {MISSING, ago, count, moment, number} from './format.js';

const REFRESH_MS = 2000;
const HOURS = [1, 4, 24];
const SEVERITIES = ['critical', 'warning', 'info'];

// onChange is called after something was changed.
export class AlertItem {
  constructor(alert, {withRun, onChange}) {
    this.onChange = onChange;
    this.mark = el('span', {class: 'severity'});
    this.state = el('span', {class: 'alert-state'});
    this.facts = el('p', {class: 'alert-facts'});
    this.summary = el('p', {class: 'alert-summary'});
    this.note = el('p', {class: 'bad', role: 'alert'});
    this.acknowledge = el('button', {type: 'button', onclick: () => this.change(
      () => send('POST', `/api/v1/alerts/${this.alert.id}/acknowledge`), 'Acknowledged')}, 'Acknowledge');
    this.why = el('input', {type: 'text', maxlength: '200', placeholder: 'why', 'aria-label': 'Why it is silenced'});
    this.silence = el('span', {class: 'silence', hidden: true}, this.why, 'Silence for ', HOURS.map(hours => el('button', {
      type: 'button', onclick: () => this.change(() => silence(this.alert, hours, this.why.value.trim()), 'Silenced')}, `${hours} h`)));
    this.past = el('div', {class: 'past'});
    this.fold = el('details', {class: 'more', ontoggle: () => this.tell()}, el('summary', {}, 'What it means and how it went'), this.past);
    const target = `#/run/${encodeURIComponent(alert.run)}`;
    const of = alert.run === null ? [el('span', {class: 'soft', text: 'the daemon'})] : [withRun ? el('a', {href: target, text: alert.run}) : null,
      alert.layer ? el('a', {href: `${target}?layer=${encodeURIComponent(alert.layer)}`, text: `layer ${alert.layer}`}) : el('span', {class: 'soft', text: 'whole run'})];
    this.root = el('li', {class: 'alert', 'data-id': String(alert.id)},
      el('div', {class: 'alert-head'}, this.mark, el('b', {text: alert.rule.replaceAll('_', ' ')}),
        of, this.state),
      this.summary, this.facts, el('div', {class: 'alert-tools'}, this.acknowledge, this.silence), this.fold, this.note);
    this.update(alert);
    canSilence().then(can => {
      this.can = can;
      this.update(this.alert);
    });
  }

  update(alert) {
    const isOther = this.alert && (this.alert.state !== alert.state || this.alert.severity !== alert.severity);
    this.alert = alert;
    if (isOther) this.tell();
    this.fold.hidden = alert.id === 0; // the daemon's own, which no store keeps
    this.root.className = `alert ${alert.severity} ${alert.state}`;
    setText(this.mark, alert.severity);
    setText(this.state, [alert.state, alert.silenced && 'silenced', alert.inhibited && 'held back', alert.no_data && 'no data'].filter(Boolean).join(', '));
    setText(this.summary, alert.summary);
    const times = [`began ${ago(alert.started)}`, alert.resolved ? `resolved ${ago(alert.resolved)}` : '',
      alert.acknowledged ? `acknowledged ${ago(acknowledgedAt(alert))}` : ''];
    setText(this.facts, [alert.since === null ? '' : `since step ${count(alert.since)}`, alert.step === null ? '' : `fired at ${count(alert.step)}`,
      alert.value === null ? '' : `value ${number(alert.value)}, threshold ${number(alert.threshold)}`, ...times].filter(Boolean).join(' · '));
    this.facts.title = moment(alert.started);
    const over = alert.state === 'resolved' || alert.run === null; // the daemon's own ends by itself
    this.acknowledge.hidden = !!alert.acknowledged || over;
    this.silence.hidden = !this.can || alert.silenced || over;
    this.fold.hidden = alert.run === null; // kept by no run
  }

  // What is asked for only once somebody wants to read it.
  async tell() {
    if (!this.fold.open) return;
    const {id, rule, run, layer} = this.alert;
    try {
      const [whole, texts] = await Promise.all([get(`/api/v1/alerts/${id}`), ruleNamed(rule)]);
      const around = new URLSearchParams({from: whole.around.from, to: whole.around.to, ...(layer ? {layer} : {})});
      const words = {...whole.labels, ...whole.annotations};
      this.past.replaceChildren(...[advice(texts),
        el('ol', {class: 'history'}, whole.history.map(change => el('li', {}, el('b', {text: `${change.state}, ${change.severity}`}),
          el('span', {class: 'soft', text: ` at step ${count(change.step)}, ${moment(change.time)}: `}), change.summary))),
        Object.keys(words).length ? el('p', {class: 'alert-facts', text: Object.entries(words).map(([key, text]) => `${key}: ${text}`).join(' · ')}) : null,
        el('a', {href: `#/run/${encodeURIComponent(run)}?${around}`, text: `Readings of steps ${count(whole.around.from)} to ${count(whole.around.to)}`}),
        el('a', {href: `#/rules/${encodeURIComponent(rule)}`, text: 'The rule'})].filter(Boolean));
    } catch (error) {
      this.past.replaceChildren(el('p', {class: 'bad', text: error.message}));
    }
  }

  async change(call, what) {
    this.acknowledge.disabled = true;
    setText(this.note, '');
    try {
      const alert = await call();
      if (alert && alert.rule) this.update(alert);
      announce(`${what}: ${this.alert.rule}`);
      this.onChange();
    } catch (error) {
      setText(this.note, error.message);
    }
    this.acknowledge.disabled = false;
  }
}

function acknowledgedAt(alert) {
  return typeof alert.acknowledged === 'number' ? alert.acknowledged : alert.acknowledged?.time ?? alert.acknowledged?.at;
}

// The alerts of one cause: the first of them, and behind a fold what followed.
class Cause {
  constructor(options) {
    this.options = options;
    this.text = el('span');
    this.all = el('button', {type: 'button', onclick: () => this.acknowledgeAll()});
    this.list = el('ul', {class: 'alert-list'});
    this.fold = el('details', {class: 'cause'}, el('summary', {}, this.text), this.all, this.list);
    this.note = el('p', {class: 'bad', role: 'alert'});
  }

  // items: oldest first
  update(items) {
    const [head, ...rest] = items;
    this.waiting = items.filter(item => item.alert.state !== 'resolved' && !item.alert.acknowledged);
    const firing = rest.filter(item => item.alert.state === 'firing').length;
    const by = SEVERITIES.map(severity => [severity, rest.filter(item => item.alert.severity === severity).length]).filter(([, n]) => n);
    setText(this.text, `${count(rest.length)} more of the same cause: ${by.map(([severity, n]) => `${n} ${severity}`).join(', ')}${firing ? `, ${firing} firing` : ''}`);
    this.text.className = by.length ? `of-${by[0][0]}` : '';
    // What still fires is not left behind the fold of a head that is over.
    if (firing && head.alert.state === 'resolved' && !this.opened) this.opened = this.fold.open = true;
    this.all.hidden = this.waiting.length < 2;
    setText(this.all, `Acknowledge all ${count(this.waiting.length)}`);
    place(this.list, rest.map(item => item.root));
    if (!rest.length) this.fold.remove();
    else if (this.fold.parentElement !== head.root) head.root.append(this.fold, this.note);
    return head.root;
  }

  async acknowledgeAll() {
    this.all.disabled = true;
    setText(this.note, '');
    try {
      for (const item of this.waiting) await send('POST', `/api/v1/alerts/${item.alert.id}/acknowledge`);
      announce(`Acknowledged ${this.waiting.length} alerts`);
    } catch (error) {
      setText(this.note, error.message);
    }
    this.all.disabled = false;
    this.options.onChange();
  }
}

// Children in this order; left alone where they stand so already.
function place(list, roots) {
  if (roots.length !== list.children.length || roots.some((root, i) => list.children[i] !== root)) list.replaceChildren(...roots);
}

// A list that keeps its items, so that nobody loses the button under the finger. Newest cause first.
export class AlertList {
  constructor(options) {
    this.options = options;
    this.items = new Map();
    this.causes = new Map();
    this.root = el('ul', {class: 'alert-list'});
  }

  update(alerts) {
    const causes = new Map();
    for (const alert of alerts) {
      const item = this.items.get(alert.id) || new AlertItem(alert, this.options), cause = alert.group || alert.id;
      this.items.set(alert.id, item);
      item.update(alert);
      causes.set(cause, [item, ...(causes.get(cause) || [])]);
    }
    place(this.root, [...causes].map(([id, items]) => {
      const cause = this.causes.get(id) || new Cause(this.options);
      this.causes.set(id, cause);
      return cause.update(items);
    }));
  }
}

const FILTERS = [['state', ['firing', 'pending', 'resolved']], ['severity', ['critical', 'warning', 'info']]];
const chosen = {state: '', severity: ''};

export class AlertsView {
  constructor({signal}) {
    this.signal = signal;
    this.list = new AlertList({withRun: true, onChange: () => this.refresh()});
    this.silences = new SilenceList({signal});
    this.note = el('p', {class: 'empty', text: 'Loading …'});
    this.selects = FILTERS.map(([key, values]) => el('label', {}, `${key} `, el('select', {onchange: event => {
      chosen[key] = event.target.value;
      this.limit = 100;
      this.refresh();
    }}, el('option', {value: ''}, 'any'), values.map(v => el('option', {value: v, selected: chosen[key] === v}, v)))));
    this.limit = 100;
    this.more = el('button', {type: 'button', hidden: true, onclick: () => {
      this.limit = Math.min(1000, this.limit * 3);
      this.refresh();
    }}, 'Show more');
    this.root = el('section', {class: 'view', 'aria-labelledby': 'alerts-title'},
      el('div', {class: 'view-head'}, el('h1', {id: 'alerts-title', text: 'Alerts'}), el('div', {class: 'filters'}, this.selects, el('a', {href: '#/rules', text: 'All rules'}))),
      this.list.root, this.note, this.more, this.silences.root);
  }

  async refresh() {
    const query = new URLSearchParams({limit: String(this.limit)});
    FILTERS.forEach(([key]) => chosen[key] && query.set(key, chosen[key]));
    try {
      const page = await get(`/api/v1/alerts?${query}`, this.signal);
      this.list.update(page.alerts);
      await this.silences.refresh();
      this.more.hidden = !page.next_cursor || this.limit >= 1000;
      this.note.hidden = page.alerts.length > 0;
      setText(this.note, 'No alerts of this kind.');
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.note.hidden = false;
      setText(this.note, error.message || MISSING);
    }
  }

  async start() {
    while (!this.signal.aborted) {
      if (!document.hidden || !this.started) await this.refresh();
      this.started = true;
      await new Promise(resolve => {
        setTimeout(resolve, REFRESH_MS);
        this.signal.addEventListener('abort', resolve, {once: true});
      });
    }
  }

  key() {
    return false;
  }
}
