// The Grafana dashboard: every address it asks for answers, and every column it names is there. Grafana itself is not
// part of the test; its Infinity source selects with JSONata, as is done here.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {Daemon, ROOT, test} from './harness.mjs';

const jsonata = createRequire(join(ROOT, 'web/package.json'))('jsonata');
const dashboard = JSON.parse(readFileSync(join(ROOT, 'web/grafana/pyrometer.json'), 'utf8'));

async function rows(daemon, target, run) {
  const fill = text => text.replaceAll('${run:percentencode}', encodeURIComponent(run)).replaceAll('${run}', run);
  const query = new URLSearchParams(target.url_options.params.map(({key, value}) => [key, fill(value)]));
  const found = await jsonata(target.root_selector).evaluate(await daemon.get(`${fill(target.url)}?${query}`));
  return [found].flat();
}

const shown = async (row, column) => (await jsonata(column.selector).evaluate(row)) ?? null;

test('Grafana: every panel finds what it asks for', async () => {
  const daemon = await Daemon.start();
  daemon.replay('lr-ramp');
  const variable = dashboard.templating.list[0].query.infinityQuery;
  assert.deepEqual((await rows(daemon, variable, '')).map(row => row.run), ['lr-ramp']);
  for (const panel of dashboard.panels) {
    assert.ok(panel.title && panel.targets.length, `panel ${panel.id}`);
    for (const target of panel.targets) {
      const where = `${panel.title}, ${target.refId}`, found = await rows(daemon, target, 'lr-ramp');
      if (/noise/.test(JSON.stringify(target.url_options.params))) continue; // this recording has no g_noise
      assert.ok(found.length > 0, where);
      for (const column of target.columns) {
        const values = await Promise.all(found.map(row => shown(row, column)));
        const wanted = column.type === 'string' ? 'string' : 'number';
        assert.ok(values.some(v => typeof v === wanted), `${where}: ${column.selector} is ${JSON.stringify(values[0])}`);
      }
    }
  }
  await daemon.stop();
});
