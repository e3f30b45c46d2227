// The pictures in docs/images: node scripts/screenshots.mjs NAME=RECORDING.ndjson.gz... (`make pictures RUNS="..."`)
//
// Replays the recordings into a daemon of its own (the first is the run that is shown; the last is left running) and takes
// each view in Chromium. The first is also run half way as NAME-live, for `pyrometer watch` in a pseudo-terminal.
import {spawnSync} from 'node:child_process';
import {mkdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {gunzipSync} from 'node:zlib';
import {Browser, Daemon, Job, ROOT} from '../tests/web/harness.mjs';

const runs = process.argv.slice(2).map(word => word.split('='));
const OUT = join(ROOT, 'docs/images');
const shown = runs[0][0];

function replay(daemon, name, file) {
  const done = spawnSync(join(ROOT, 'build/pyrometer'), ['replay', file, '--ingest', daemon.ingest, '--run', name], {encoding: 'utf8'});
  if (done.status !== 0) throw new Error(done.stderr);
}

// Left without its end, after a part of its steps, so that its alerts still fire.
async function keepRunning(daemon, name, file, part) {
  const [hello, ...lines] = gunzipSync(readFileSync(file)).toString().trim().split('\n').map(line => JSON.parse(line));
  const job = await Job.open(daemon, {...hello, run: name});
  const all = lines.filter(line => line.type !== 'end'), steps = all.slice(0, Math.round(part * all.length));
  job.send(...steps);
  await job.acknowledged(steps.filter(line => line.type === 'step').at(-1).step);
  return job;
}

// name, address, theme, width, height; then what is taken of the page: a panel by its heading, or the screen where it stands
const shots = [
  ['runs', '/', 'light', 1280, 640],
  ['run', `/#/run/${shown}`, 'dark', 1280, 1180],
  ['layers', `/#/run/${shown}`, 'dark', 1280, 900, {panel: '#heat-title', pick: true}],
  ['layer', `/#/run/${shown}`, 'light', 1280, 900, {panel: '#layer-title', pick: true}],
  ['balance', `/#/run/${shown}`, 'light', 1280, 900, {panel: '#balance-title'}],
  ['states', `/#/run/${shown}`, 'light', 1280, 900, {panel: '#states-title'}],
  ['phase', `/#/run/${shown}`, 'light', 1280, 900, {panel: '#phase-title'}],
  ['compare', `/#/compare?${new URLSearchParams(runs.slice(0, 4).map(([name]) => ['run', name]))}`, 'light', 1280, 720],
  ['alerts', '/#/alerts', 'light', 1280, 720],
  ['phone', `/#/run/${shown}`, 'dark', 390, 844, {scrollTo: '#heat-title'}],
];

async function shoot(browser, daemon, [name, path, theme, width, height, {panel, pick, scrollTo} = {}]) {
  const page = await browser.open(daemon, path, {theme, width, height});
  if (pick) {
    await page.locator('.heat').focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
  }
  if (panel) {
    await page.mouse.move(2, 2);
    await browser.settled(page);
    await page.locator(`section.panel:has(${panel})`).screenshot({path: join(OUT, `${name}.png`)});
  } else {
    if (scrollTo) await page.evaluate(at => document.querySelector(at).closest('section').scrollIntoView(), scrollTo);
    await browser.settled(page);
    await page.screenshot({path: join(OUT, `${name}.png`)});
  }
  await browser.close(page);
}

async function shootTerminal(browser, daemon, name, keys, until) {
  const command = [join(ROOT, 'build/pyrometer'), '--url', daemon.url, 'watch', `${shown}-live`];
  const done = spawnSync('python3', [join(ROOT, 'scripts/terminal.py'), '112', '40', keys, until, '--', ...command], {encoding: 'utf8'});
  if (done.status !== 0) throw new Error(done.stderr);
  const context = await browser.chromium.newContext({viewport: {width: 1400, height: 1000}}), page = await context.newPage();
  await page.setContent(done.stdout);
  await page.locator('#screen').screenshot({path: join(OUT, `${name}.png`)});
  await context.close();
}

mkdirSync(OUT, {recursive: true});
const daemon = await Daemon.start(), browser = await Browser.start();
const jobs = [];
try {
  for (const [name, file] of runs.slice(0, -1)) replay(daemon, name, file);
  jobs.push(await keepRunning(daemon, ...runs.at(-1), 1));
  for (const shot of shots) await shoot(browser, daemon, shot);
  jobs.push(await keepRunning(daemon, `${shown}-live`, runs[0][1], 0.52));
  await shootTerminal(browser, daemon, 'watch', '', 'alerts: [1-9]');
  await shootTerminal(browser, daemon, 'watch-layers', 'p', 'over steps');
} finally {
  jobs.forEach(job => job.close());
  await browser.stop();
  await daemon.stop();
}
