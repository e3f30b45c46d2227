// Trains the examples against a daemon of its own and takes each run's page: node examples/pictures.mjs [EXAMPLE...]
//
// What a training prints, and how long it took, goes to standard output. Needs `make all`, `make web` and what
// scripts/web.sh test installs; PYTHON is a Python with torch (default: /usr/bin/python3, Debian's python3-torch).
import {spawn} from 'node:child_process';
import {existsSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import {Browser, Daemon, ROOT, eventually} from '../tests/web/harness.mjs';

const HERE = join(ROOT, 'examples');
const named = process.argv.slice(2);
const examples = named.length ? named : readdirSync(HERE).filter(name => existsSync(join(HERE, name, 'train.py')));
const SERIES = {'heat-death': 'outputs.entropy', 'lr-ramp': 'lr', sgld: 'equilibrium'};

function train(daemon, name) {
  return new Promise((done, failed) => {
    const job = spawn(process.env.PYTHON || '/usr/bin/python3', [join(HERE, name, 'train.py'), name],
      {stdio: 'inherit', env: {...process.env, PYROMETER_SERVER: daemon.ingest, PYROMETER_SPOOL: ''}});
    job.on('exit', code => (code ? failed(new Error(`${name} ended with ${code}`)) : done()));
  });
}

async function shoot(browser, daemon, name) {
  await eventually(async () => (await daemon.get(`/api/v1/runs/${name}`)).status === 'completed', `the end of ${name}`);
  const page = await browser.open(daemon, `/#/run/${name}`, {theme: 'dark', width: 1280, height: 1400});
  const drawn = () => {
    const charts = [...document.querySelectorAll('.chart')].map(node => node.chart).filter(Boolean);
    const heat = document.querySelector('.heat');
    return charts.length && charts.every(chart => !chart.data || chart.plot) && charts[0].plot && heat && heat.heat.pages.size &&
      document.fonts.status === 'loaded';
  };
  await eventually(() => page.evaluate(drawn), `${name} is drawn`);
  if (SERIES[name]) {
    const select = page.locator(`select:has(option[value="${SERIES[name]}"])`).first();
    await select.selectOption(SERIES[name]);
    await eventually(() => page.evaluate(drawn), `${SERIES[name]} is drawn`);
  }
  await page.waitForLoadState('networkidle');
  const height = await page.evaluate(() =>
    Math.ceil(document.querySelector('section.panel:has(#heat-title)').getBoundingClientRect().bottom + scrollY) + 16);
  await page.setViewportSize({width: 1280, height});
  await page.evaluate(() => new Promise(next => requestAnimationFrame(() => requestAnimationFrame(next))));
  await page.waitForLoadState('networkidle');
  await page.screenshot({path: join(HERE, name, 'run.png')});
  await browser.close(page);
  const reading = await daemon.get(`/api/v1/runs/${name}/temperature`);
  const {alerts} = await daemon.get(`/api/v1/alerts?run=${name}`);
  console.log(JSON.stringify(Object.fromEntries(Object.entries(reading.global || {}).map(([key, value]) => [key, value?.value ?? value?.reason]))));
  for (const alert of alerts) console.log(`alert ${alert.rule} ${alert.layer ?? ''} at step ${alert.step}, ${alert.state}`);
}

const daemon = await Daemon.start(), browser = await Browser.start();
try {
  for (const name of examples) {
    const began = Date.now();
    console.log(`== ${name}`);
    await train(daemon, name);
    console.log(`${((Date.now() - began) / 1000).toFixed(0)} s`);
    await shoot(browser, daemon, name);
  }
} finally {
  await browser.stop();
  await daemon.stop();
}
