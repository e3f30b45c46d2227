// How soon the dashboard is there: `make bench-web`.
//
// A store with 100 runs, and one of STEPS steps and LAYERS layers (1,000,000 and 100 unless the environment says
// otherwise), made by the load generator; a Chromium that has seen nothing before, each page five times.
// Times are milliseconds from the navigation's start, medians: the first paint with content, and when the figures
// stand: rows of all runs, the reading of the run, its curves, its picture, the curves after a zoom.
// Beside them the longest time for which the page did not answer while it drew.
import {spawnSync} from 'node:child_process';
import {join} from 'node:path';
import {Browser, Daemon, ROOT} from '../tests/web/harness.mjs';

const STEPS = Number(process.env.STEPS || 1e6), LAYERS = Number(process.env.LAYERS || 100), RUNS = 100, TIMES = 5;
const LONGEST_MS = 120000;

function load(daemon, ...args) {
  const done = spawnSync(join(ROOT, 'build/loadgen'), ['--address', daemon.ingest, '--format', 'frames', ...args.map(String)], {encoding: 'utf8'});
  if (done.status !== 0) throw new Error(`loadgen: ${done.stderr}`);
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
  console.log(`${name}: ${keys.map(key => `${key} ${Math.round(median(all.map(one => one[key])))}`).join(', ')} ms`);
}

const daemon = await Daemon.start();
const browser = await Browser.start();
try {
  load(daemon, '--runs', RUNS, '--layers', 10, '--stats', 10, '--steps', 300);
  load(daemon, '--runs', 1, '--layers', LAYERS, '--stats', 10, '--steps', STEPS, '--prefix', 'big');
  const {runs} = await daemon.get('/api/v1/runs?limit=1000');
  const big = runs.find(run => run.steps === STEPS);
  console.log(`${runs.length} runs; ${big.run}: ${STEPS} steps, ${LAYERS} layers`);
  await report(browser, daemon, 'runs', '/', ['rows']);
  await report(browser, daemon, 'the long run', `/#/run/${encodeURIComponent(big.run)}`, ['reading', 'curve', 'picture']);
} finally {
  await browser.stop();
  await daemon.stop();
}
