// What a row of the runs asks for itself, once it is on the screen: its loss as a small curve, and
// its reading where the list has none (a run that is not live).
import {get, runPath, series as ask} from './api.js';
import {css, el, fitCanvas, onTheme} from './dom.js';
import {value as read} from './format.js';
import {finite} from './scales.js';

const WIDTH = 120, HEIGHT = 28, POINTS = 60, AT_ONCE = 2;
const waiting = [];
let busy = 0;
const kept = new Map(); // run -> {key, points, reading}
const rows = new WeakMap();
const sight = new IntersectionObserver(entries => entries.forEach(entry => {
  if (entry.isIntersecting) rows.get(entry.target)();
}), {rootMargin: '100px'});

function next() {
  if (busy >= AT_ONCE || !waiting.length) return;
  busy++;
  waiting.shift()().finally(() => {
    busy--;
    next();
  });
}

// onReading(reading) is called when one came that was wanted.
export function spark(run, onReading) {
  const canvas = el('canvas', {class: 'spark', 'aria-hidden': 'true'});
  let key = null, lacking = false, points = kept.get(run)?.points || null;
  const paint = () => draw(canvas, points);
  const load = async () => {
    try {
      const answer = await ask(run, {metrics: ['loss'], points: POINTS});
      points = answer.series[0] ? numbers(answer.series[0]) : null;
      paint();
      const reading = lacking ? await get(runPath(run, '/temperature')) : null;
      kept.set(run, {key, points, reading});
      if (reading) onReading(reading);
    } catch (error) {
      points = null; // the row says the rest, and what is known of it next asks again
      kept.delete(run);
      key = null;
    }
  };
  onTheme(() => canvas.isConnected && paint());
  rows.set(canvas, () => {
    if (kept.get(run)?.key === key || !canvas.isConnected) return;
    kept.set(run, {key, points, reading: kept.get(run)?.reading});
    waiting.push(load);
    next();
  });
  sight.observe(canvas);
  if (points) paint();
  return {
    canvas,
    // Told what the newest state is: asked again when it has changed and the row can be seen.
    update(state, lacks) {
      if (state === key) return;
      key = state;
      lacking = lacks;
      sight.unobserve(canvas);
      sight.observe(canvas);
    },
  };
}

const numbers = ({value, min, max}) => ({line: value.map(read), low: (min || value).map(read), high: (max || value).map(read)});

// The line of the values over a band from the least to the greatest behind each point, so that a spike is not lost.
function draw(canvas, points) {
  const context = fitCanvas(canvas, WIDTH, HEIGHT), {line, low, high} = points || {line: [], low: [], high: []};
  const good = [...line, ...low, ...high].filter(finite);
  if (!good.length) return;
  const least = Math.min(...good), most = Math.max(...good), logarithmic = least > 0 && most / least > 10;
  const of = v => (logarithmic ? Math.log(v) : v);
  const x = i => 2 + (i / Math.max(1, line.length - 1)) * (WIDTH - 4);
  const y = v => HEIGHT - 3 - ((of(v) - of(least)) / (of(most) - of(least) || 1)) * (HEIGHT - 6);
  context.strokeStyle = context.fillStyle = css('--accent');
  drawBand(context, low, high, x, y);
  context.lineWidth = 1.4;
  context.beginPath();
  line.forEach((v, i) => {
    if (!finite(v)) return;
    if (finite(line[i - 1])) context.lineTo(x(i), y(v));
    else context.moveTo(x(i), y(v));
  });
  context.stroke();
  context.fillStyle = css('--nonfinite');
  line.forEach((v, i) => finite(v) || context.fillRect(x(i) - 1, 0, 2, 5));
}

function drawBand(context, low, high, x, y) {
  context.globalAlpha = 0.28;
  for (let i = 1; i < low.length; i++) {
    if (![low[i - 1], high[i - 1], low[i], high[i]].every(finite)) continue;
    context.beginPath();
    [[i - 1, low], [i - 1, high], [i, high], [i, low]].forEach(([k, edge]) => context.lineTo(x(k), y(edge[k])));
    context.fill();
  }
  context.globalAlpha = 1;
}

export const readingOf = run => kept.get(run)?.reading;
