// The pictures in docs/images: node scripts/screenshots.mjs NAME=RECORDING.ndjson.gz...
//
// Replays the recordings into a daemon of its own (the first is the run that is shown; the last is left running) and takes
// each view in Chromium.
import {spawnSync} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import {gunzipSync} from 'node:zlib';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {Browser, Daemon, Job, ROOT, eventually} from '../tests/web/harness.mjs';

const runs = process.argv.slice(2).map(word => word.split('='));
const OUT = join(ROOT, 'docs/images');

function replay(daemon, name, file) {
  const done = spawnSync(join(ROOT, 'build/pyrometer'), ['replay', file, '--ingest', daemon.ingest, '--run', name], {encoding: 'utf8'});
  if (done.status !== 0) throw new Error(done.stderr);
}

// Left without its end, so that its alerts still fire.
async function keepRunning(daemon, name, file) {
  const [hello, ...lines] = gunzipSync(readFileSync(file)).toString().trim().split('\n').map(line => JSON.parse(line));
  const job = await Job.open(daemon, {...hello, run: name});
  const steps = lines.filter(line => line.type !== 'end');
  job.send(...steps);
  await job.acknowledged(steps.filter(line => line.type === 'step').at(-1).step);
  return job;
}

const shots = [
  ['runs', '/', 'light', 1280, 620],
  ['run', `/#/run/${runs[0][0]}`, 'dark', 1280, 1130],
  ['layers', `/#/run/${runs[0][0]}`, 'dark', 1280, null, '#heat-title'],
  ['phase', `/#/run/${runs[0][0]}`, 'light', 1280, null, '#phase-title'],
  ['compare', `/#/compare?${new URLSearchParams(runs.slice(0, 4).map(([name]) => ['run', name]))}`, 'light', 1280, 700],
  ['alerts', '/#/alerts', 'light', 1280, 720],
  ['phone', `/#/run/${runs[0][0]}`, 'dark', 390, 844, null, '#heat-title'],
];

async function shoot(browser, daemon, [name, path, theme, width, height, part, scrollTo]) {
  const page = await browser.open(daemon, path, {theme, width, height: height || 900});
  const ready = () => {
    const charts = [...document.querySelectorAll('.chart')].map(node => node.chart).filter(Boolean);
    const rows = [...document.querySelectorAll('tbody tr .spark')].every(canvas => canvas.width === 120);
    const heat = document.querySelector('.heat');
    const bands = !document.querySelector('.readings') || (charts[1] && charts[1].columns?.some(c => c.bounds.steps.length));
    return rows && bands && (!charts.length || charts[0].plot) && charts.every(c => !c.data || c.plot) && (!heat || heat.heat.pages.size) && document.querySelector('h1') &&
      document.fonts.status === 'loaded' && !!document.querySelector('tbody tr, .chart, .alert');
  };
  await eventually(() => page.evaluate(ready), `${name} is drawn`);
  if (part) {
    if (name === 'layers') await page.locator('.heat').click({position: {x: 700, y: 26 * 8 + 10}});
    if (name === 'layers') await page.locator('.layer .u-over').first().waitFor();
    await page.locator(`section.panel:has(${part})`).screenshot({path: join(OUT, `${name}.png`)});
  } else {
    if (scrollTo) await page.evaluate(at => document.querySelector(at).scrollIntoView(), scrollTo);
    if (scrollTo) await page.evaluate(() => scrollBy(0, -70));
    await page.evaluate(() => new Promise(next => requestAnimationFrame(() => requestAnimationFrame(next))));
    await page.screenshot({path: join(OUT, `${name}.png`)});
  }
  await browser.close(page);
}

mkdirSync(OUT, {recursive: true});
const daemon = await Daemon.start(), browser = await Browser.start();
let job = null;
try {
  for (const [name, file] of runs.slice(0, -1)) replay(daemon, name, file);
  job = await keepRunning(daemon, ...runs.at(-1));
  for (const shot of shots) await shoot(browser, daemon, shot);
} finally {
  if (job) job.close();
  await browser.stop();
  await daemon.stop();
}
