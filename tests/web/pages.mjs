// Every view of the dashboard in Chromium, against daemons that were sent recorded runs.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Browser, Daemon, Job, eventually, recording, test} from './harness.mjs';

const RECORDINGS = ['sgd-momentum', 'adamw', 'lr-ramp', 'nan-gradient'];
const VIEWS = {runs: '/', run: '/#/run/lr-ramp?layer=2', compare: '/#/compare?run=adamw&run=lr-ramp', alerts: '/#/alerts', rules: '/#/rules/loss_nonfinite'};
let daemon, browser, alarmed;

const text = (page, selector) => page.locator(selector).innerText();

// Waits for a condition in the page. Playwright's own way evaluates text, which the page's policy forbids.
const until = (page, condition, argument) => eventually(() => page.evaluate(condition, argument), String(condition));

const requested = (page, pattern) => eventually(() => page.requests.find(url => pattern.test(url)), `a request like ${pattern}`);

// A colour of the picture: row i of n, at a part of the width of the plot.
const cell = (page, layer, part) => page.evaluate(([i, at]) => {
  const frame = document.querySelector('.heat'), canvas = frame.querySelector('.picture'), n = frame.heat.layers.length;
  const ratio = devicePixelRatio, left = innerWidth < 700 ? 58 : 116, width = canvas.clientWidth - left - 30, h = (canvas.clientHeight - 24) / n;
  return [...canvas.getContext('2d').getImageData(Math.floor((left + at * width) * ratio), Math.floor((i + 0.5) * h * ratio), 1, 1).data].slice(0, 3);
}, [layer, part]);

const brightness = ([r, g, b]) => 0.21 * r + 0.72 * g + 0.07 * b;
// A job whose alert still fires: the recording without its end.
async function openAlarm() {
  const [hello, ...lines] = recording('nan-gradient');
  alarmed = await Job.open(daemon, {...hello, run: 'alarmed'});
  alarmed.send(...lines.filter(line => line.type !== 'end'));
  const last = lines.filter(line => line.type === 'step').at(-1).step;
  await alarmed.acknowledged(last);
  await eventually(async () => (await daemon.get('/api/v1/alerts?run=alarmed&state=firing')).alerts.length, 'an alert that fires');
}

test('start', async () => {
  daemon = await Daemon.start();
  browser = await Browser.start();
  for (const name of RECORDINGS) daemon.replay(name);
  await openAlarm();
});

test('runs: state, loss, temperature and alerts at a glance', async () => {
  const page = await browser.open(daemon, '/');
  for (const name of [...RECORDINGS, 'alarmed']) await page.locator(`tr[data-run="${name}"]`).waitFor();
  assert.equal(await text(page, 'tr[data-run="nan-gradient"] .v-status'), 'failed');
  assert.equal(await text(page, 'tr[data-run="nan-gradient"] .v-loss'), 'NaN');
  assert.equal(await text(page, 'tr[data-run="alarmed"] .v-status'), 'running');
  await page.locator('tr[data-run="alarmed"] .v-alerts.hot').waitFor();
  const {global} = await daemon.get('/api/v1/runs/adamw/temperature');
  const shown = Number((await page.locator('tr[data-run="adamw"] .v-kinetic', {hasText: 'e'}).innerText()).replace('−', '-'));
  assert.ok(Math.abs(shown / global.kinetic.value - 1) < 0.06, `${shown} for ${global.kinetic.value}`);
  await until(page, () => {
    const canvas = document.querySelector('tr[data-run="adamw"] .spark');
    return canvas.width > 1 && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(v => v > 0);
  });
  await browser.close(page);
});

test('runs: filter and sort', async () => {
  const page = await browser.open(daemon, '/');
  const names = () => page.locator('tbody tr').evaluateAll(rows => rows.map(row => row.dataset.run));
  await page.locator('tbody tr').nth(4).waitFor();
  await page.fill('input[type=search]', 'ADAM');
  assert.deepEqual(await names(), ['adamw']);
  await page.fill('input[type=search]', '');
  await page.click('.chip[data-status=failed]');
  assert.deepEqual(await names(), ['nan-gradient']);
  await page.click('.chip[data-status=""]');
  await page.click('th[data-key=run] button');
  assert.deepEqual(await names(), ['adamw', 'alarmed', 'lr-ramp', 'nan-gradient', 'sgd-momentum']);
  await page.click('th[data-key=step] button');
  assert.equal((await names())[0], 'lr-ramp');
  assert.equal(await page.getAttribute('th[data-key=step]', 'aria-sort'), 'descending');
  await browser.close(page);
});

test('run: readings, curves with their extremes, alerts on the time line', async () => {
  const page = await browser.open(daemon, '/#/run/lr-ramp');
  const reading = await daemon.get('/api/v1/runs/lr-ramp/temperature');
  for (const name of ['kinetic', 'transition', 'velocity']) {
    const shown = Number((await text(page, `.readings [data-metric="temperature.${name}"] .card-value`)).replaceAll('−', '-'));
    assert.ok(Math.abs(shown / reading.global[name].value - 1) < 0.01, `${name}: ${shown}`);
  }
  assert.match(await text(page, '.readings [data-metric="temperature.noise"]'), /needs g_noise/);
  const got = await page.evaluate(() => {
    const {chart} = document.querySelector('.chart');
    return {marks: chart.marks.map(m => m.step), n: chart.table[0].length, columns: chart.table.length, range: [chart.plot.scales.x.min, chart.plot.scales.x.max]};
  });
  const alerts = (await daemon.get('/api/v1/alerts?run=lr-ramp&limit=200')).alerts.filter(a => a.step !== null && a.state !== 'pending');
  assert.ok(alerts.length > 0);
  assert.deepEqual(got.marks.filter(step => alerts.some(a => a.step === step)).length, alerts.length);
  assert.deepEqual(got.range, [0, 1319]);
  assert.ok(got.n > 100 && got.n <= 700 && got.columns === 4, JSON.stringify(got));
  await until(page, () => document.querySelectorAll('.chart')[1].chart.columns[0].bounds.lows.filter(Number.isFinite).length > 50);
  const [kinetic] = (await daemon.get('/api/v1/runs/lr-ramp/series?metric=temperature.kinetic&points=2&intervals=150')).series;
  assert.deepEqual(await page.evaluate(() => document.querySelectorAll('.chart')[1].chart.columns[0].bounds.highs), kinetic.interval.high);
  await browser.close(page);
});

test('run: a thermal picture in which the hottest layer is the brightest', async () => {
  const page = await browser.open(daemon, '/#/run/lr-ramp');
  const {layers} = await daemon.get('/api/v1/runs/lr-ramp/temperature');
  const heat = layers.map(layer => layer.kinetic.value), hottest = heat.indexOf(Math.max(...heat)), coldest = heat.indexOf(Math.min(...heat));
  await eventually(async () => brightness(await cell(page, hottest, 0.995)) > brightness(await cell(page, coldest, 0.995)) + 10,
    'the hottest layer as the brightest');
  const before = await cell(page, 0, 0.5);
  await page.selectOption('section.panel:has(#heat-title) select', 'w_var');
  await requested(page, /metric=w_var&/);
  await until(page, old => {
    const canvas = document.querySelector('.heat .picture');
    return String([...canvas.getContext('2d').getImageData(canvas.width / 2, 8, 1, 1).data]) !== old;
  }, String([...before, 255]));
  await browser.close(page);
});

test('run: a click on a layer shows its thermometers', async () => {
  const page = await browser.open(daemon, '/#/run/lr-ramp');
  const {layers} = await daemon.get('/api/v1/runs/lr-ramp/temperature');
  await page.locator('.heat').click({position: {x: 600, y: 26 + 13}});
  assert.equal(await text(page, '#layer-title'), `Layer ${layers[1].name}`);
  const shown = Number((await text(page, '.layer [data-metric="stability"] .card-value')).replaceAll('−', '-'));
  assert.ok(Math.abs(shown / layers[1].stability - 1) < 0.01, String(shown));
  assert.match(page.url(), /layer=2/);
  await page.locator('.layer .u-over').first().waitFor();
  await browser.close(page);
});

test('run: dragging zooms, and the daemon is asked for the steps in view', async () => {
  const page = await browser.open(daemon, '/#/run/lr-ramp');
  const box = await page.locator('.u-over').first().boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 60, {steps: 4});
  await page.mouse.up();
  const query = new URL(await requested(page, /metric=loss.*from=[1-9]\d*&to=\d+/)).searchParams, from = Number(query.get('from')), to = Number(query.get('to'));
  assert.ok(Math.abs(from - 659.5) < 8 && Math.abs(to - 791.4) < 8, `${from} to ${to}`);
  await until(page, ([a, b]) => {
    const {chart} = document.querySelector('.chart');
    return chart.data.from === a && chart.table[0].length === b - a + 1;
  }, [from, to]);
  const truth = await daemon.get(`/api/v1/runs/lr-ramp/series?metric=loss&from=${from}&to=${to}&points=1000`);
  assert.deepEqual(await page.evaluate(() => document.querySelector('.chart').chart.table[1]), truth.series[0].value);
  assert.match(page.url(), new RegExp(`from=${from}&to=${to}`));
  await page.click('text=Whole run');
  await until(page, () => document.querySelector('.chart').chart.data.to === 1319);
  await browser.close(page);
});

test('run: live, what the job sends appears', async () => {
  const [hello, ...lines] = recording('adamw'), steps = lines.filter(line => line.type === 'step');
  const job = await Job.open(daemon, {...hello, run: 'live'});
  job.send(...steps.slice(0, 100));
  await job.acknowledged(99);
  const page = await browser.open(daemon, '/#/run/live');
  await page.locator('.facts', {hasText: 'step 99'}).waitFor();
  await browser.settled(page);
  job.send(...steps.slice(100, 300), {type: 'event', step: 299, name: 'checkpoint'});
  await page.locator('.facts', {hasText: 'step 299'}).waitFor();
  await until(page, () => document.querySelector('.chart').chart.table[0].at(-1) === 299);
  job.send({type: 'end', status: 'completed'});
  await page.locator('.run-head .v-status', {hasText: 'completed'}).waitFor();
  job.close();
  await browser.close(page);
});

test('run: live, one that is deleted says so', async () => {
  const [hello, ...lines] = recording('adamw');
  const job = await Job.open(daemon, {...hello, run: 'short-lived'});
  job.send(...lines.slice(0, 50));
  await job.acknowledged(49);
  const page = await browser.open(daemon, '/#/run/short-lived', {allow: /404/});
  assert.equal((await fetch(`${daemon.url}/api/v1/runs/short-lived`, {method: 'DELETE'})).status, 204);
  await page.locator('.empty', {hasText: 'This run was deleted'}).waitFor();
  assert.equal(await text(page, '.run-head .v-status'), 'deleted');
  job.close();
  await browser.close(page);
});

test('runs: live, a new run appears', async () => {
  const page = await browser.open(daemon, '/');
  await page.locator('tbody tr').first().waitFor();
  const [hello, ...lines] = recording('sgd-momentum');
  const job = await Job.open(daemon, {...hello, run: 'newcomer'});
  job.send(...lines.slice(0, 20));
  await page.locator('tr[data-run="newcomer"] .v-status', {hasText: 'running'}).waitFor();
  job.send({type: 'end', status: 'stopped'});
  await page.locator('tr[data-run="newcomer"] .v-status', {hasText: 'stopped'}).waitFor();
  job.close();
  await browser.close(page);
});

test('alerts: acknowledge', async () => {
  const page = await browser.open(daemon, '/#/alerts');
  const {alerts} = await daemon.get('/api/v1/alerts?run=alarmed&state=firing');
  const item = page.locator(`.alert[data-id="${alerts[0].id}"]`);
  assert.equal(alerts[0].acknowledged, null);
  await item.locator('.alert-summary', {hasText: alerts[0].summary}).waitFor();
  await item.locator('.alert-facts', {hasText: /began (now|.* ago)/}).waitFor();
  await item.getByRole('button', {name: 'Acknowledge'}).click();
  await item.locator('.alert-facts', {hasText: 'acknowledged'}).waitFor();
  assert.equal(await item.getByRole('button', {name: 'Acknowledge'}).count(), 0);
  const after = (await daemon.get('/api/v1/alerts?run=alarmed&state=firing')).alerts.find(a => a.id === alerts[0].id);
  assert.notEqual(after.acknowledged, null);
  await page.locator('#firing', {hasText: /\d/}).waitFor();
  await page.selectOption('.filters select >> nth=0', 'resolved');
  await item.waitFor({state: 'detached'});
  await browser.close(page);
});

test('alerts: what it means, how it went, and the readings around it', async () => {
  const page = await browser.open(daemon, '/#/alerts');
  const [alert] = (await daemon.get('/api/v1/alerts?run=alarmed&state=firing')).alerts, {around} = await daemon.get(`/api/v1/alerts/${alert.id}`);
  const item = page.locator(`.alert[data-id="${alert.id}"]`), rule = (await daemon.get('/api/v1/rules')).rules.find(r => r.rule === alert.rule);
  await item.getByText('What it means and how it went').first().click();
  for (const part of ['means', 'causes', 'remedy']) await item.locator('.advice dd', {hasText: rule[part]}).waitFor();
  await item.locator('.history li', {hasText: 'firing, critical at step 441'}).waitFor();
  await item.getByRole('link', {name: /^Readings of steps/}).click();
  await page.locator('#run-title').waitFor();
  assert.match(page.url(), new RegExp(`#/run/alarmed\\?from=${around.from}&to=${around.to}`));
  await browser.close(page);
});

test('rules: the one that the address names is in view', async () => {
  const page = await browser.open(daemon, '/#/rules/overfit');
  await until(page, () => document.activeElement.dataset.rule === 'overfit');
  assert.match(await text(page, '[data-rule="overfit"] .advice'), /Stop early or regularise/);
  assert.equal(await page.locator('[data-rule]').count(), (await daemon.get('/api/v1/rules')).rules.length);
  await browser.close(page);
});

test('alerts: the daemon\'s own has no run to open and nothing to acknowledge', async () => {
  const page = await browser.open(daemon, '/#/runs');
  await page.route(/\/api\/v1\/alerts\?/, route => route.fulfill({json: {next_cursor: null, alerts: [{id: 0, rule: 'store_trouble', severity: 'critical', state: 'firing',
    run: null, project: null, layer: null, step: null, since: null, group: 0, started: Date.now() / 1000 - 90, resolved: null, value: null, threshold: null,
    summary: 'database or disk is full', acknowledged: null, silenced: false, inhibited: false}]}}));
  await page.evaluate(() => (location.hash = '#/alerts'));
  const item = page.locator('.alert[data-id="0"]');
  await item.locator('.alert-head', {hasText: 'the daemon'}).waitFor();
  assert.equal(await item.locator('.alert-facts').innerText(), 'began 2 min ago');
  assert.equal(await item.locator('a, button:visible').count(), 0);
  await browser.close(page);
});

test('alerts: silence, and lift it', async () => {
  const page = await browser.open(daemon, '/#/alerts');
  const {alerts} = await daemon.get('/api/v1/alerts?run=alarmed&state=firing');
  const item = page.locator(`.alert[data-id="${alerts[0].id}"]`);
  await item.getByLabel('Why it is silenced').fill('  a known ramp ');
  await item.getByRole('button', {name: '4 h', exact: true}).click();
  await item.locator('.alert-state', {hasText: 'silenced'}).waitFor();
  const {silences} = await daemon.get('/api/v1/silences');
  assert.deepEqual(silences[0].matchers.map(m => m.value), [alerts[0].rule, 'alarmed', alerts[0].layer || '']);
  assert.ok(Math.abs(silences[0].ends - silences[0].starts - 4 * 3600) < 5);
  assert.equal(silences[0].comment, 'a known ramp');
  await page.getByRole('button', {name: `Lift silence ${silences[0].id}`}).click();
  await item.locator('.alert-state', {hasText: /^firing$/}).waitFor();
  assert.deepEqual((await daemon.get('/api/v1/silences')).silences, []);
  await browser.close(page);
});

test('compare: several runs on one plot', async () => {
  const page = await browser.open(daemon, '/');
  for (const name of ['adamw', 'lr-ramp']) await page.check(`tr[data-run="${name}"] input`);
  await page.getByRole('button', {name: 'Compare 2 runs'}).click();
  await browser.settled(page);
  assert.deepEqual(await page.evaluate(() => document.querySelector('.chart').chart.data.series.map(s => [s.label, s.step.at(-1)])),
    [['adamw', 799], ['lr-ramp', 1319]]);
  await page.selectOption('.view-head select', 'temperature.kinetic');
  await until(page, () => document.querySelector('.chart').chart.data?.series[0].metric === 'temperature.kinetic');
  await page.fill('.view-head input', 'sgd-momentum');
  await page.keyboard.press('Enter');
  await until(page, () => document.querySelector('.chart').chart.data.series.length === 3);
  await page.getByRole('button', {name: 'Remove adamw'}).click();
  await until(page, () => document.querySelector('.chart').chart.data.series.map(s => s.label).join() === 'lr-ramp,sgd-momentum');
  assert.match(page.url(), /run=lr-ramp&run=sgd-momentum&metric=temperature.kinetic/);
  await browser.close(page);
});

test('compare: the legend and the note beside each other; without runs no plot', async () => {
  const runs = ['adamw', 'lr-ramp', 'nan-gradient', 'sgd-momentum'];
  const page = await browser.open(daemon, `/#/compare?${new URLSearchParams(runs.map(run => ['run', run]))}`);
  await page.locator('.plot-note', {hasText: 'NaN or infinities'}).waitFor();
  const legend = await page.locator('.u-legend').boundingBox(), note = await page.locator('.plot-note').boundingBox();
  assert.ok(note.y >= legend.y + legend.height, JSON.stringify([legend, note]));
  for (const run of runs) await page.getByRole('button', {name: `Remove ${run}`}).click();
  await page.locator('.plot').waitFor({state: 'hidden'});
  await browser.close(page);
});

test('run: one that is not there shows only that, and appears with its job; a daemon that is away for a moment is asked again', async () => {
  const page = await browser.open(daemon, '/#/run/to-come', {allow: /404|Failed to load/});
  await page.locator('.empty', {hasText: 'there is no run "to-come"'}).waitFor();
  assert.equal(await page.locator('.panel:visible, .button:visible').count(), 0);
  const [hello, ...lines] = recording('sgd-momentum');
  const job = await Job.open(daemon, {...hello, run: 'to-come'});
  job.send(...lines.slice(0, 20), {type: 'end', status: 'completed'});
  await page.locator('.facts', {hasText: 'step 19'}).waitFor();
  job.close();
  let away = 2;
  await page.route('**/api/v1/runs/adamw', route => (away-- > 0 ? route.abort() : route.continue()));
  await page.evaluate(() => (location.hash = '#/run/adamw'));
  await page.locator('.facts', {hasText: 'step 799'}).waitFor();
  await browser.close(page);
});

test('run: the energy balance sheet, its layers, and the way to one', async () => {
  const page = await browser.open(daemon, '/#/run/lr-ramp');
  const {balance, layers} = await daemon.get('/api/v1/runs/lr-ramp/engine');
  const shown = async key => Number((await page.locator(`.sheet tr[data-key=${key}] .number`).innerText()).replaceAll('−', '-'));
  await page.locator('.sheet tr').first().waitFor();
  for (const key of ['in', 'dissipated', 'kept', 'returned', 'energy']) assert.ok(Math.abs(await shown(key) / balance[key] - 1) < 0.001, key);
  const bars = await page.locator('.engines .sheet-bar i').evaluateAll(all => all.map(i => parseFloat(i.style.width)));
  const heat = layers.map(layer => layer.heat), most = Math.max(...heat.map(Math.abs));
  assert.equal(bars.length, layers.length);
  bars.forEach((width, i) => assert.ok(Math.abs(width - 100 * Math.abs(heat[i]) / most) < 0.1, `${width} of layer ${i}`));
  await page.getByRole('button', {name: layers[1].name, exact: true}).click();
  assert.equal(await text(page, '#layer-title'), `Layer ${layers[1].name}`);
  await browser.close(page);
});

test('run: the course of states, live', async () => {
  const [hello, ...lines] = recording('sgd-momentum'), steps = lines.filter(line => line.type === 'step');
  const job = await Job.open(daemon, {...hello, run: 'refreshed'});
  job.send(...steps.slice(0, 100));
  await job.acknowledged(99);
  const page = await browser.open(daemon, '/#/run/refreshed'), rows = page.locator('.states tbody tr');
  await rows.first().waitFor();
  assert.equal(await rows.count(), 1);
  job.send({type: 'event', step: 99, name: 'data_refresh'}, ...steps.slice(100, 200), {type: 'end', status: 'completed'});
  await eventually(async () => (await rows.count()) === 2 && /100 to 199/.test(await rows.nth(1).innerText()), 'two states');
  job.close();
  const {states, refreshes} = await daemon.get('/api/v1/runs/refreshed/states');
  const cells = await rows.nth(1).locator('.number').allInnerTexts(), numbers = cells.map(cell => Number(cell.split('\n')[0].replaceAll('−', '-')));
  [states[1].energy.change, states[1].entropy.change, states[1].temperature.value, states[1].heat, refreshes[0].work].forEach((truth, i) =>
    assert.ok(Math.abs(numbers[i] / truth - 1) < 0.001, `${numbers[i]} for ${truth}`));
  assert.match(await rows.nth(0).innerText(), /^I\s/);
  assert.match(await rows.nth(1).innerText(), /^II\s/);
  await browser.close(page);
});

test('run: a layer\'s temperatures over steps, with their intervals', async () => {
  const page = await browser.open(daemon, '/#/run/lr-ramp?layer=2');
  await page.locator('.layer .u-over').first().waitFor();
  const drawnHere = () => page.evaluate(() => [...document.querySelectorAll('.layer .chart')].filter(node => !node.hidden)
    .map(node => node.chart.data.series.map(s => ({label: s.label, interval: s.interval?.low.filter(Number.isFinite).length || 0}))));
  const [first] = await drawnHere();
  assert.deepEqual(first.map(s => s.label), ['kinetic', 'configurational']);
  assert.ok(first.every(s => s.interval > 20), JSON.stringify(first));
  await page.locator('.layer .chip', {hasText: 'Velocity'}).click();
  await eventually(async () => (await drawnHere()).some(chart => chart.map(s => s.label).join() === 'velocity'), 'a plot of its own for another unit');
  await page.locator('.layer .chip', {hasText: 'Configurational'}).click();
  await eventually(async () => (await drawnHere())[0].map(s => s.label).join() === 'kinetic', 'one temperature less');
  await browser.close(page);
});

test('run: temperatures of different units have plots of their own', async () => {
  const page = await browser.open(daemon, '/#/run/lr-ramp');
  await page.locator('[aria-label="Temperatures drawn"] .chip', {hasText: 'Transition'}).click();
  await until(page, () => [...document.querySelectorAll('.chart')].some(node => node.chart?.data?.series.map(s => s.label).join() === 'transition'));
  const units = await page.locator('.axis-unit').evaluateAll(all => all.filter(node => node.offsetParent).map(node => node.textContent));
  assert.deepEqual(units, ['loss / param', 'loss / nat']);
  await browser.close(page);
});

test('run: buttons and the wheel zoom and pan; what is drawn moves at once', async () => {
  const page = await browser.open(daemon, '/#/run/lr-ramp');
  await page.getByRole('button', {name: 'Zoom in'}).click();
  await until(page, () => document.querySelector('.chart').chart.data.from === 330);
  await page.getByRole('button', {name: 'Later steps'}).click();
  await until(page, () => document.querySelector('.chart').chart.data.from === 495);
  await page.click('text=Whole run');
  await until(page, () => document.querySelector('.chart').chart.data.to === 1319);
  // In one task, before any answer could have come: the picture and the curves are moved as they are.
  const moved = await page.evaluate(() => {
    const frame = document.querySelector('.heat'), {left, width} = frame.getBoundingClientRect();
    frame.dispatchEvent(new WheelEvent('wheel', {deltaY: -60, ctrlKey: true, clientX: left + width / 2, clientY: frame.getBoundingClientRect().top + 5, bubbles: true, cancelable: true}));
    return {view: [frame.heat.view.from, frame.heat.view.to], page: frame.heat.pages.get(0).from};
  });
  assert.ok(moved.view[0] > 200 && moved.view[1] < 1150 && moved.page === 0, JSON.stringify(moved));
  await until(page, from => document.querySelector('.heat').heat.pages.get(0).from === from, moved.view[0]);
  assert.match(page.url(), new RegExp(`from=${moved.view[0]}&to=${moved.view[1]}`));
  await page.evaluate(() => document.querySelector('.u-over').dispatchEvent(new WheelEvent('wheel', {deltaY: 200, shiftKey: true, bubbles: true, cancelable: true})));
  await until(page, from => document.querySelector('.chart').chart.data.from > from, moved.view[0]);
  await browser.close(page);
});

test('run: a layer\'s alerts stand in the picture, and the head says what fires', async () => {
  const page = await browser.open(daemon, '/#/run/alarmed');
  const {alerts} = await daemon.get('/api/v1/alerts?run=alarmed&limit=200'), firing = alerts.filter(a => a.state === 'firing').length;
  await page.locator('.contents .hot', {hasText: String(firing)}).waitFor();
  const own = alerts.filter(a => a.layer !== null && a.state !== 'pending').map(a => [a.step, a.layer]);
  assert.ok(own.length > 0);
  await until(page, n => (document.querySelector('.heat').heat.view.marks || []).filter(m => m.layer).length === n, own.length);
  await page.locator('.contents .hot').click();
  await until(page, () => document.activeElement.querySelector('#run-alerts-title'));
  await browser.close(page);
});

test('alerts of one cause stand together, and are acknowledged together', async () => {
  const [hello, ...lines] = recording('lr-ramp');
  const job = await Job.open(daemon, {...hello, run: 'causes'});
  job.send(...lines.filter(line => line.type !== 'end'));
  await job.acknowledged(lines.filter(line => line.type === 'step').at(-1).step);
  const find = async () => (await daemon.get('/api/v1/alerts?run=causes&limit=200')).alerts;
  const alerts = await eventually(async () => {
    const found = await find();
    return found.filter(a => a.group !== a.id).length && found;
  }, 'alerts of the same cause');
  const page = await browser.open(daemon, '/#/run/causes');
  const {group} = alerts.find(a => a.group !== a.id), of = alerts.filter(a => a.group === group);
  const head = page.locator(`.alert[data-id="${group}"]`);
  await head.locator('.cause summary', {hasText: `${of.length - 1} more of the same cause`}).click();
  for (const alert of of) await page.locator(`.alert[data-id="${alert.id}"]`).locator('.alert-summary').first().waitFor();
  await head.getByRole('button', {name: /^Acknowledge all/}).click();
  await eventually(async () => (await find()).filter(a => a.group === group && a.state !== 'resolved').every(a => a.acknowledged), 'all acknowledged');
  await head.getByRole('button', {name: /^Acknowledge all/}).waitFor({state: 'hidden'});
  job.close();
  await browser.close(page);
});

test('keyboard alone', async () => {
  const page = await browser.open(daemon, '/');
  await page.locator('tbody tr').first().waitFor();
  await page.keyboard.press('?');
  await page.locator('#help[open]').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#help[open]').waitFor({state: 'detached'});
  await page.keyboard.press('/');
  await page.keyboard.type('lr-ra');
  await page.keyboard.press('Escape');
  await until(page, () => document.querySelectorAll('tbody tr').length === 1);
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.locator('#run-title', {hasText: 'lr-ramp'}).waitFor();
  await browser.settled(page);
  await page.keyboard.press('+');
  await until(page, () => document.querySelector('.chart').chart.data.from === 330);
  await page.keyboard.press('ArrowRight');
  await until(page, () => document.querySelector('.chart').chart.data.from > 330);
  await page.keyboard.press('0');
  await until(page, () => document.querySelector('.chart').chart.data.from === 0);
  await page.locator('.heat').focus();
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowLeft']) await page.keyboard.press(key);
  await page.locator('.readout', {hasText: /^2, step/}).waitFor();
  await page.keyboard.press('Enter');
  await page.locator('#layer-title', {hasText: 'Layer 2'}).waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#layer-title').waitFor({state: 'detached'});
  await page.keyboard.press('g');
  await page.keyboard.press('a');
  await page.locator('#alerts-title').waitFor();
  await browser.close(page);
});

test('NaN is drawn as such, and what is not measured as a gap', async () => {
  const page = await browser.open(daemon, '/#/run/nan-gradient?metric=g_var');
  assert.match(await text(page, '.chart >> nth=0 >> .plot-note'), /NaN or infinities/);
  assert.match(await text(page, '.chart >> nth=0 >> .u-legend'), /loss\s*NaN/);
  const wild = await page.evaluate(() => document.querySelector('.chart').chart.columns[0].wild);
  assert.ok(wild.length > 3 && wild[0] >= 441, String(wild));
  const colours = [await cell(page, 1, 0.97), await cell(page, 1, 0.975), await cell(page, 1, 0.98), await cell(page, 1, 0.985)];
  assert.ok(colours.some(([r, g, b]) => r === 0 && g === 214 && b === 190), JSON.stringify(colours));
  await browser.close(page);
  const [hello, ...lines] = recording('sgd-momentum'), steps = lines.filter(line => line.type === 'step');
  const job = await Job.open(daemon, {...hello, run: 'gap'});
  job.send(...steps.slice(0, 60), ...steps.slice(120, 180), {type: 'end', status: 'completed'});
  await daemon.settled('gap', 179);
  job.close();
  const other = await browser.open(daemon, '/#/run/gap');
  const table = await other.evaluate(() => document.querySelector('.chart').chart.table.slice(0, 2));
  const hole = table[1].indexOf(null);
  assert.ok(table[0][hole] > 59 && table[0][hole] < 120, `${table[0][hole]}`);
  await browser.close(other);
});

test('a layer that stands still is the coldest, and its temperature of 0 is drawn', async () => {
  const [hello, ...lines] = recording('sgd-momentum'), steps = lines.filter(line => line.type === 'step').slice(0, 200);
  steps.slice(100).forEach(step => ['g_mean', 'g_var', 'u_mean', 'u_var', 'gw', 'gu', 'gu_prev'].forEach(key => step.stats[key] && (step.stats[key][1] = 0)));
  const job = await Job.open(daemon, {...hello, run: 'still'});
  job.send(...steps, {type: 'end', status: 'completed'});
  await daemon.settled('still', steps.at(-1).step);
  job.close();
  const name = hello.layers[1].name;
  const page = await browser.open(daemon, `/#/run/still?metric=temperature.velocity&layer=${encodeURIComponent(name)}`);
  assert.deepEqual(await cell(page, 1, 0.99), [11, 10, 31]);
  const drawn = await page.evaluate(() => [...document.querySelectorAll('.layer .chart')].map(node => node.chart).find(chart => chart.data?.series[0].label === 'velocity')
    .table[1].filter(Number.isFinite));
  assert.ok(drawn.every(v => v > 0), 'a place at the foot of the logarithmic plot');
  assert.match(await text(page, '.layer .chart:has-text("velocity") .u-legend'), /velocity\s*0(\s|$)/);
  await browser.close(page);
});

test('what is drawn from readings kept at some steps says so, and its intervals are asked for', async () => {
  const page = await browser.open(daemon, '/#/run/lr-ramp?layer=2'), asked = page.requests.length;
  assert.ok(page.requests.some(url => url.includes('intervals=')));
  await page.route(/metric=.*temperature/, async route => {
    const answer = await route.fetch(), json = await answer.json();
    json.series.forEach(one => one.metric !== 'loss' && (one.every = 256));
    await route.fulfill({response: answer, json});
  });
  await page.keyboard.press('+');
  await page.locator('.chart >> nth=1 >> .plot-note', {hasText: 'One reading each 256 steps'}).waitFor();
  await page.locator('.heat-foot .plot-note', {hasText: 'One reading each 256 steps'}).waitFor();
  await browser.settled(page);
  assert.equal(await text(page, '.chart >> nth=0 >> .plot-note'), '');
  for (const one of ['layer=', '']) {
    assert.ok(page.requests.slice(asked).some(url => url.includes('intervals=') && url.includes('layer=') === Boolean(one)), `intervals, ${one}`);
  }
  await browser.close(page);
});

test('numbers of any size have an axis', async () => {
  for (const [name, loss] of [['huge', step => 1e38 * (2 + step % 3)], ['tiny', step => 1e-40 * (2 + step % 3)], ['wide', step => 10 ** (step - 20)]]) {
    const job = await Job.open(daemon, {run: name, layers: [{name: 'a', n: 5}]});
    job.send(...Array.from({length: 80}, (_, step) => ({type: 'step', step, loss: loss(step), stats: {}})), {type: 'end', status: 'completed'});
    await daemon.settled(name, 79);
    job.close();
    const page = await browser.open(daemon, `/#/run/${name}`);
    const axis = await page.evaluate(() => document.querySelector('.chart').chart.plot.axes[1]._values);
    assert.ok(axis && axis.filter(Boolean).length > 1, `${name}: ${axis}`);
    await browser.close(page);
  }
});

test('on a phone nothing is wider than the screen', async () => {
  const long = 'long_'.repeat(25);
  daemon.replay('nan-gradient', long);
  for (const screen of [375, 320]) {
    for (const path of [...Object.values(VIEWS), '/#/run/nan-gradient', `/#/run/${long}`]) {
      const page = await browser.open(daemon, path, {width: screen, height: 740, touch: true});
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= screen, `${path} is ${width} wide`);
      await browser.close(page);
    }
  }
  const runs = await browser.open(daemon, '/');
  await runs.locator(`tr[data-run="${long}"]`).waitFor();
  const [held, wide] = await runs.locator('.table-box').evaluate(box => [box.clientWidth, box.scrollWidth]);
  assert.ok(wide <= held, `a table ${wide} wide in ${held}`);
  await browser.close(runs);
  const page = await browser.open(daemon, '/#/run/lr-ramp', {width: 375, height: 740, touch: true});
  await page.locator('.heat').tap({position: {x: 200, y: 13}});
  await page.locator('#layer-title', {hasText: 'Layer 0'}).waitFor();
  await browser.close(page);
});

test('dark and light', async () => {
  const ground = page => page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
  const page = await browser.open(daemon, '/#/run/lr-ramp', {theme: 'dark'});
  assert.ok((await ground(page))[0] < 40);
  await page.click('#theme');
  assert.ok((await ground(page))[0] > 220);
  await page.reload();
  assert.ok((await ground(page))[0] > 220);
  assert.equal(await text(page, '#theme'), 'Light');
  await browser.close(page);
});

test('no serious fault of accessibility, in light and dark, on a screen and a phone', async () => {
  for (const [theme, width] of [['light', 1280], ['dark', 1280], ['light', 375]]) {
    for (const [name, path] of Object.entries(VIEWS)) {
      const page = await browser.open(daemon, path, {theme, width});
      assert.equal(await page.locator('h1').count(), 1);
      assert.deepEqual(await browser.accessibility(page), [], `${name}, ${theme}, ${width}`);
      await browser.close(page);
    }
  }
});

test('names from jobs stay text', async () => {
  const nasty = '<img src=x onerror=alert(1)>[a-z]*\\?';
  const job = await Job.open(daemon, {run: 'nasty', project: nasty, layers: [{name: nasty, n: 5}, {name: 'b', n: 5}]});
  const stats = {w_mean: [0, 0], w_var: [1, 2], u_mean: [0, 0], u_var: [0.1, 0.2]};
  job.send(...[0, 1, 2, 3].map(step => ({type: 'step', step, loss: 1, lr: 0.1, stats})), {type: 'event', step: 2, name: nasty, data: {x: nasty}},
    {type: 'end', status: 'completed'});
  await daemon.settled('nasty', 3);
  job.close();
  const page = await browser.open(daemon, '/#/run/nasty?metric=w_var');
  await page.locator('.heat').click({position: {x: 600, y: 13}});
  assert.equal(await text(page, '#layer-title'), `Layer ${nasty}`);
  assert.equal(await page.locator('main img').count(), 0);
  assert.ok(page.requests.some(url => new URL(url).searchParams.getAll('layer').some(glob => glob.endsWith('\\[a-z]\\*\\\\\\?'))));
  await browser.close(page);
});

test('a token is asked for, and a wrong one again', async () => {
  const locked = await Daemon.start(home => {
    writeFileSync(join(home, 'token'), 'open-sesame\n', {mode: 0o600});
    return `http: { token_file: ${join(home, 'token')} }\n`;
  });
  const page = await browser.open(locked, '/', {allow: /401/});
  await page.fill('#token-text', 'wrong');
  await page.keyboard.press('Enter');
  await page.locator('#token-note', {hasText: 'not the token'}).waitFor();
  await page.fill('#token-text', 'open-sesame');
  await page.keyboard.press('Enter');
  await page.locator('.first', {hasText: 'No runs yet'}).waitFor();
  await page.reload();
  await page.locator('.first', {hasText: 'No runs yet'}).waitFor();
  assert.equal(await page.locator('#token[open]').count(), 0);
  await browser.close(page);
  await locked.stop();
});

test('what takes long says that it is loading', async () => {
  const page = await browser.open(daemon, '/#/compare'), answer = [];
  await page.route(/\/api\/v1\/(runs|alerts)/, route => answer.push(route));
  for (const [hash, there] of [['#/', 'tbody tr'], ['#/run/adamw', '.facts'], ['#/alerts', '.alert']]) {
    await page.evaluate(to => (location.hash = to), hash);
    await page.locator('.empty', {hasText: 'Loading'}).waitFor();
    const stop = setInterval(() => answer.splice(0).forEach(route => route.continue()), 20);
    await page.locator(there).first().waitFor();
    clearInterval(stop);
  }
  await page.unroute(/\/api\/v1\/(runs|alerts)/);
  answer.forEach(route => route.continue());
  await browser.close(page);
});

test('a daemon that goes away is said to be away', async () => {
  const brief = await Daemon.start();
  const page = await browser.open(brief, '/', {allow: /ERR_CONNECTION|Failed to load/});
  await page.locator('.first').waitFor();
  assert.equal(await page.locator('table').isVisible(), false);
  await brief.stop();
  await page.locator('#link.down').waitFor();
  await browser.close(page);
});

test('files: policy, validators, compression', async () => {
  const answer = await fetch(daemon.url);
  const policy = answer.headers.get('content-security-policy');
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  const etag = answer.headers.get('etag');
  assert.equal((await fetch(daemon.url, {headers: {'If-None-Match': etag}})).status, 304);
  for (const [name, type] of [['main.js', 'text/javascript'], ['style.css', 'text/css'], ['uplot.js', 'text/javascript'], ['inter.woff2', 'font/woff2']]) {
    const file = await fetch(`${daemon.url}/assets/${name}`);
    assert.equal(file.status, 200);
    assert.ok(file.headers.get('content-type').startsWith(type));
    assert.equal(file.headers.get('content-encoding'), name.endsWith('woff2') ? null : 'gzip');
  }
  const plain = await fetch(`${daemon.url}/assets/main.js`, {headers: {'Accept-Encoding': 'identity'}});
  assert.equal(plain.headers.get('content-encoding'), null);
  assert.equal((await fetch(`${daemon.url}/assets/nothing.js`)).status, 404);
});

test('stop', async () => {
  if (alarmed) alarmed.close();
  if (browser) await browser.stop();
  if (daemon) await daemon.stop();
});
