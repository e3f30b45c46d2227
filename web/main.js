// The frame: which view the address names, the keys, the theme, the firing alerts in the head.
import {get, onReach} from './api.js';
import {AlertsView} from './alerts.js';
import {CompareView} from './compare.js';
import {$, el, isDark, setText, themeChanged} from './dom.js';
import {RulesView} from './rules.js';
import {RunView} from './run.js';
import {RunsView} from './runs.js';

const FIRING_MS = 5000;
const KEYS = [
  ['?', 'this help'], ['g then r, c, a, u', 'runs, compare, alerts, rules'], ['/', 'filter the runs'], ['j, k', 'next and previous run'],
  ['Enter', 'open'], ['x, then c', 'pick runs, then compare them'], ['0', 'the whole run'], ['+ and −', 'zoom in and out'],
  ['← and →', 'pan when zoomed; in the picture, move'], ['Ctrl and wheel', 'zoom where the pointer is'], ['Shift and wheel', 'pan'], ['e', 'what each instrument means'], ['Escape', 'close'], ['t', 'light, dark, system'],
];
let leave = new AbortController();
let view = null;
let chord = false;

function parts() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [kind, ...rest] = path.split('/');
  let name = rest.join('/');
  try {
    name = decodeURIComponent(name);
  } catch (error) {
    // not an encoding: taken as it stands
  }
  return {kind: kind || 'runs', name, query: new URLSearchParams(query || '')};
}

const go = hash => (location.hash = hash);
const replace = hash => history.replaceState(null, '', hash);

function make({kind, name, query}, signal) {
  const tools = {signal, go, replace, query, name};
  if (kind === 'run' && name) return new RunView(tools);
  if (kind === 'compare') return new CompareView(tools);
  if (kind === 'alerts') return new AlertsView(tools);
  if (kind === 'rules') return new RulesView(tools);
  return new RunsView(tools);
}

function show() {
  leave.abort();
  leave = new AbortController();
  const where = parts();
  view = make(where, leave.signal);
  $('view').replaceChildren(view.root);
  document.title = `${view.root.querySelector('h1').textContent} · Pyrometer`;
  document.querySelectorAll('nav a').forEach(link => {
    if (link.dataset.view === where.kind) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  });
  scrollTo(0, 0);
  view.start();
}

async function countFiring() {
  for (;;) {
    try {
      if (!document.hidden) {
        const page = await get('/api/v1/alerts?state=firing&limit=100');
        $('firing').hidden = !page.alerts.length;
        setText($('firing'), page.next_cursor ? '100+' : String(page.alerts.length));
      }
    } catch (error) {
      $('firing').hidden = true;
    }
    await new Promise(resolve => setTimeout(resolve, FIRING_MS));
  }
}

function nextTheme() {
  const root = document.documentElement, order = {undefined: 'light', light: 'dark', dark: undefined};
  const next = order[root.dataset.theme];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
  try {
    if (next) localStorage.setItem('pyrometer-theme', next);
    else localStorage.removeItem('pyrometer-theme');
  } catch (error) {
    // then it lasts until the page is left
  }
  nameTheme();
  themeChanged();
}

function nameTheme() {
  const chosen = document.documentElement.dataset.theme;
  const name = chosen ? chosen[0].toUpperCase() + chosen.slice(1) : 'Auto';
  setText($('theme'), name);
  $('theme').setAttribute('aria-label', `${name} theme${chosen ? '' : ` (${isDark() ? 'dark' : 'light'}, as the system)`}`);
}

function openHelp() {
  $('help').replaceChildren(
    el('h2', {id: 'help-title', text: 'Keys'}),
    el('dl', {class: 'keys'}, KEYS.flatMap(([key, what]) => [el('dt', {}, el('kbd', {text: key})), el('dd', {text: what})])),
    el('p', {}, 'The strong bands are what lies between the smallest and the largest value behind a point, the weak ones 95% intervals. Triangles are alerts, dots are the job’s events, ',
      el('span', {class: 'nonfinite-text', text: 'this colour'}), ' is NaN or infinite; where nothing was measured the line has a gap and the picture is hatched.'),
    el('form', {method: 'dialog'}, el('button', {class: 'main', autofocus: true}, 'Close')));
  $('help').showModal();
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (event.target.matches('input, select, textarea')) {
    if (event.key === 'Escape') event.target.blur();
    if (event.target.type !== 'checkbox') return;
  }
  const chords = {r: '#/', c: '#/compare', a: '#/alerts', u: '#/rules'};
  if (chord && chords[event.key]) {
    go(chords[event.key]);
    chord = false;
    return event.preventDefault();
  }
  chord = event.key === 'g';
  if (event.key === '?') openHelp();
  else if (event.key === 't') nextTheme();
  else if (!view || !view.key(event)) return;
  event.preventDefault();
}

onReach(well => {
  setText($('link'), well ? '' : 'The daemon does not answer; trying again');
  $('link').classList.toggle('down', !well);
});
$('theme').addEventListener('click', nextTheme);
$('help-button').addEventListener('click', openHelp);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  nameTheme();
  themeChanged();
});
addEventListener('hashchange', show);
addEventListener('keydown', key);
nameTheme();
show();
countFiring();
