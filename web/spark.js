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
      points = answer.series[0] ? answer.series[0].value.map(read) : [];
      paint();
      const reading = lacking ? await get(runPath(run, '/temperature')) : null;
      kept.set(run, {key, points, reading});
      if (reading) onReading(reading);
    } catch (error) {
      points = null; // the row says the rest
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

function draw(canvas, points) {
  const context = fitCanvas(canvas, WIDTH, HEIGHT);
  const good = (points || []).filter(finite);
  if (!good.length) return;
  const positive = good.every(v => v > 0) && Math.max(...good) / Math.min(...good) > 10;
  const of = v => (positive ? Math.log(v) : v);
  const low = of(Math.min(...good)), high = of(Math.max(...good));
  const y = v => HEIGHT - 3 - ((of(v) - low) / (high - low || 1)) * (HEIGHT - 6);
  context.lineWidth = 1.4;
  context.strokeStyle = css('--accent');
  context.beginPath();
  let pen = false;
  points.forEach((v, i) => {
    const x = 2 + (i / Math.max(1, points.length - 1)) * (WIDTH - 4);
    if (!finite(v)) {
      context.fillStyle = css('--nonfinite');
      context.fillRect(x - 1, 0, 2, 5);
      pen = false;
      return;
    }
    if (pen) context.lineTo(x, y(v));
    else context.moveTo(x, y(v));
    pen = true;
  });
  context.stroke();
}

export const readingOf = run => kept.get(run)?.reading;
