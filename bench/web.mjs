// How soon the dashboard is there, and how smoothly its picture of the layers moves: `make bench-web` writes docs/dashboard-speed.md.
//
// A store with 100 runs, and one of STEPS steps and LAYERS layers (1,000,000 and 100 unless the environment says
// otherwise), made by the load generator; a Chromium that has seen nothing before, each page five times.
// Times are milliseconds from the navigation's start, medians: the first paint with content, and when the figures
// stand: rows of all runs, the reading of the run, its curves, its picture, the curves after a zoom.
// Beside them the longest time for which the page did not answer while it drew.
//
//   web.mjs [load DIR | measure DIR]   both, in a temporary directory, when nothing is said
//
// Then a third run, of WIDE layers (1,000) and WIDE_STEPS steps: the wheel zooms, pans and scrolls its picture, one notch a frame, 60 frames each,
// while what the daemon answers comes in. Of the intervals between the frames the median, the 95th percentile, the longest.
import {spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {cpus} from 'node:os';
import {join} from 'node:path';
import {Browser, Daemon, ROOT} from '../tests/web/harness.mjs';

const STEPS = Number(process.env.STEPS || 1e6), LAYERS = Number(process.env.LAYERS || 100), RUNS = 100, TIMES = Number(process.env.TIMES || 5);
const WIDE = Number(process.env.WIDE || 1000), WIDE_STEPS = Number(process.env.WIDE_STEPS || 1e6);
const PIECE = 2e7; // samples
const LONGEST_MS = 120000;

function load(daemon, ...args) {
  const done = spawnSync(join(ROOT, 'build/loadgen'), ['--address', daemon.ingest, '--format', 'frames', ...args.map(String)], {encoding: 'utf8'});
  if (done.status !== 0) throw new Error(`loadgen: ${done.stderr}`);
}

// A long run: the same steps again and again, for the load generator holds them in memory.
function loadRun(daemon, prefix, layers, stats, steps) {
  const repeat = Math.max(1, Math.round((steps * layers * stats) / PIECE));
  load(daemon, '--prefix', prefix, '--layers', layers, '--stats', stats, '--steps', Math.round(steps / repeat), '--repeat', repeat);
}

const median = values => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

// Milliseconds until a condition holds in the page; looked at in every frame there.
const until = (page, condition) => page.evaluate(async ([text, most]) => {
  for (const end = performance.now() + most; performance.now() < end;) {
    const {rows, reading, curve, picture, zoomed} = {
      rows: () => document.querySelectorAll('tbody tr').length > 100,
      reading: () => /\d/.test(document.querySelector('.readings .card-value')?.textContent || ''),
      curve: () => document.querySelector('.chart')?.chart.plot && document.querySelector('.chart').chart.table[0].length > 1,
      picture: () => document.querySelector('.heat')?.heat.pages.size > 0,
      zoomed: () => document.querySelector('.chart').chart.data.from > 0,
    };
    if ({rows, reading, curve, picture, zoomed}[text]()) return performance.now();
    await new Promise(next => requestAnimationFrame(next));
  }
  return NaN;
}, [condition, LONGEST_MS]);

async function measure(browser, daemon, path, conditions) {
  const context = await browser.chromium.newContext({viewport: {width: 1360, height: 900}});
  const page = await context.newPage();
  page.setDefaultTimeout(2 * LONGEST_MS);
  await page.goto(daemon.url + path);
  await page.evaluate(() => {
    globalThis.longest = 0;
    new PerformanceObserver(list => list.getEntries().forEach(e => (globalThis.longest = Math.max(globalThis.longest, e.duration))))
      .observe({type: 'longtask', buffered: true});
  });
  const found = {};
  for (const condition of conditions) found[condition] = await until(page, condition);
  if (conditions.includes('curve')) {
    const began = await page.evaluate(() => performance.now());
    await page.keyboard.press('+');
    found.zoomed = await until(page, 'zoomed') - began;
  }
  found['first paint'] = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime);
  found.busy = await page.evaluate(() => globalThis.longest);
  await context.close();
  return found;
}

async function report(browser, daemon, name, path, conditions) {
  const all = [];
  for (let i = 0; i < TIMES; i++) all.push(await measure(browser, daemon, path, conditions));
  const keys = ['first paint', ...conditions, ...(conditions.includes('curve') ? ['zoomed'] : []), 'busy'];
  const figures = Object.fromEntries(keys.map(key => [key, Math.round(median(all.map(one => one[key])))]));
  console.log(`${name}: ${keys.map(key => `${key} ${figures[key]}`).join(', ')} ms`);
  return {name, figures};
}

// Intervals between frames while the wheel turns over the picture.
async function smoothness(browser, daemon, run) {
  const context = await browser.chromium.newContext({viewport: {width: 1360, height: 900}}), page = await context.newPage();
  page.setDefaultTimeout(2 * LONGEST_MS);
  await page.goto(`${daemon.url}/#/run/${encodeURIComponent(run)}?metric=w_var`);
  await until(page, 'picture');
  const rows = await page.evaluate(async frames => {
    const frame = document.querySelector('.heat'), found = [];
    frame.scrollIntoView({block: 'center'});
    const turn = wheel => {
      const box = frame.getBoundingClientRect();
      frame.dispatchEvent(new WheelEvent('wheel', {bubbles: true, cancelable: true, clientX: box.left + 0.6 * box.width, clientY: box.top + 50, ...wheel}));
    };
    for (const [what, wheel] of [['zoom in', {ctrlKey: true, deltaY: -5}], ['pan', {shiftKey: true, deltaY: 12}], ['zoom out', {ctrlKey: true, deltaY: 5}],
      ['scroll the layers', {deltaY: 40}]]) {
      const times = [];
      for (let i = 0, before = await new Promise(requestAnimationFrame); i < frames; i++) {
        turn(wheel);
        const now = await new Promise(requestAnimationFrame);
        times.push(now - before);
        before = now;
      }
      times.sort((x, y) => x - y);
      found.push([what, times[times.length >> 1], times[Math.floor(times.length * 0.95)], times.at(-1)]);
    }
    return found;
  }, 60);
  await context.close();
  for (const [what, ...ms] of rows) console.log(`${what}: frames of ${ms.map(x => x.toFixed(1)).join(', ')} ms (median, 95%, longest)`);
  return rows;
}

function write(pages, wide, rows) {
  const names = ['first paint', 'rows', 'reading', 'curve', 'picture', 'zoomed', 'busy'];
  const line = cells => `| ${cells.join(' | ')} |`;
  const table = (head, body) => [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
  writeFileSync(join(ROOT, 'docs/dashboard-speed.md'), `# How soon the dashboard is there

    make bench-web        # writes this file

${cpus().length} cores of ${cpus()[0].model}, ${new Date().toISOString().slice(0, 10)}; daemon and browser (headless Chromium, drawing in software) on the same. Milliseconds from the
navigation's start, medians of ${TIMES} visits by a browser that has seen nothing before; \`zoomed\` from the key to the curves of the narrower range; \`busy\` is the longest time for which the page did not answer.
The store holds ${RUNS} runs of 300 steps, and a long one of ${STEPS.toLocaleString('en')} steps and ${LAYERS} layers.
The long runs are made-up walks, the same steps again and again; sending them took some twenty minutes beside other work, and 10 GB of disk.

${table(['page', ...names], pages.map(({name, figures}) => [name, ...names.map(key => figures[key] ?? '')]))}

## How smoothly the picture of the layers moves

${wide.layers.toLocaleString('en')} layers and ${wide.steps.toLocaleString('en')} steps. The wheel is turned over the picture, one notch a frame for 60 frames, while the daemon's answers come in. Milliseconds between frames; 16.7 is every
frame of a screen of 60 Hz.

${table(['', 'median', '95%', 'longest'], rows.map(([what, ...ms]) => [what, ...ms.map(x => x.toFixed(1))]))}
`);
}

async function fill(daemon) {
  load(daemon, '--runs', RUNS, '--layers', 10, '--stats', 10, '--steps', 300);
  loadRun(daemon, 'big', LAYERS, 10, STEPS);
  loadRun(daemon, 'wide', WIDE, 2, WIDE_STEPS);
}

async function look(daemon) {
  const {runs} = await daemon.get('/api/v1/runs?limit=1000'), named = prefix => runs.find(run => run.run.startsWith(prefix));
  const big = named('big'), wide = named('wide'), browser = await Browser.start();
  try {
    console.log(`${runs.length} runs; ${big.run}: ${big.steps} steps; ${wide.run}: ${wide.steps} steps`);
    const pages = [await report(browser, daemon, 'runs', '/', ['rows']),
      await report(browser, daemon, 'the long run', `/#/run/${encodeURIComponent(big.run)}`, ['reading', 'curve', 'picture'])];
    write(pages, {layers: WIDE, steps: wide.steps}, await smoothness(browser, daemon, wide.run));
  } finally {
    await browser.stop();
  }
}

const [what, home] = process.argv.slice(2);
const daemon = await Daemon.start(null, home);
try {
  if (what !== 'measure') await fill(daemon);
  if (what !== 'load') await look(daemon);
} finally {
  await daemon.stop();
}
