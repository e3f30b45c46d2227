// The parts of the dashboard that need no browser.
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {cpSync, mkdtempSync, readFileSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {EMPTY, VALUE, WILD, colouring, toCells} from '../../web/cells.js';
import {diverging, thermal, toOklab} from '../../web/colour.js';
import {MISSING, count, interval, number, shortCount, tickTexts, value, withoutShared} from '../../web/format.js';
import {ofLayers, ofRun} from '../../web/metrics.js';
import {chooseScale, ticks} from '../../web/scales.js';
import {panned, wheeled, within, zoomed} from '../../web/zoom.js';
import {ROOT, test} from './harness.mjs';

test('numbers as text', () => {
  const cases = [[null, MISSING], ['NaN', 'NaN'], ['Infinity', '∞'], ['-Infinity', '−∞'], [0, '0'], [-0.25, '−0.25'], [1234.5678, '1235'],
    [6.0647e-5, '6.06e−5'], [1.5e9, '1.50e9'], [0.001735, '0.001735'], [undefined, MISSING]];
  for (const [x, text] of cases) assert.equal(number(x), text);
  assert.equal(value('NaN').toString(), 'NaN');
  assert.equal(value('anything else'), null);
  assert.equal(count(1234567), '1\u2009234\u2009567');
  assert.equal(shortCount(25000), '25k');
  assert.equal(interval(1, null), '');
  assert.equal(interval(-1, 2), '−1 to 2');
});

test('the thermal colours grow lighter all the way', () => {
  const colours = thermal(), hex = i => `#${[0, 1, 2].map(k => colours[3 * i + k].toString(16).padStart(2, '0')).join('')}`;
  const lightness = Array.from({length: 256}, (_, i) => toOklab(hex(i))[0]);
  for (let i = 1; i < 256; i++) assert.ok(lightness[i] >= lightness[i - 1] - 0.004, `colour ${i} is darker than the one before`);
  assert.ok(lightness[255] - lightness[0] > 0.75);
  for (const dark of [true, false]) {
    const ends = diverging(dark);
    assert.ok(ends[0] < ends[2] && ends[255 * 3] > ends[255 * 3 + 2], 'cold is blue, hot is red');
  }
});

test('a spike of one step is in the picture', () => {
  const step = Array.from({length: 500}, (_, i) => i * 10), low = step.map(() => 1), high = step.map((_, i) => (i === 321 ? 99 : 1.1));
  const cells = toCells({step, value: low, min: low, max: high}, 0, 4999, 60);
  assert.equal([...cells.values].filter(v => v === 99).length, 1);
  assert.ok([...cells.kinds].every(kind => kind === VALUE));
});

test('every step of a short range fills its column', () => {
  for (const n of [1, 2, 7, 241, 599]) {
    const step = Array.from({length: n}, (_, i) => 380 + i);
    const cells = toCells({step, value: step}, 380, 380 + n - 1, n);
    assert.deepEqual([...cells.values], step);
  }
});

test('gaps and what is not finite are neither values nor each other', () => {
  const step = [0, 1, 2, 3, 8, 9], cells = toCells({step, value: [1, 1, 'NaN', 1, 1, '-Infinity']}, 0, 9, 10);
  assert.deepEqual([...cells.kinds], [VALUE, VALUE, WILD, VALUE, EMPTY, EMPTY, EMPTY, EMPTY, VALUE, WILD]);
});

test('hot layers are at the hot end, cold at the cold, also against the middle', () => {
  const row = v => toCells({step: [0, 1, 2, 3], value: [v, v, v, v]}, 0, 3, 4);
  const rows = [row(1e-7), row(1e-5), row(1.2e-5), row(1e-2)];
  for (const relative of [false, true]) {
    const {place} = colouring(rows, 'log', relative), at = rows.map(r => place(r.values[0], 0));
    assert.ok(at[0] < 0.3 && at[3] > 0.9 && at[1] < at[2], String(at));
  }
  const signed = colouring([row(-1), row(2)], 'signed', false);
  assert.ok(signed.diverging && signed.place(0) === 0.5);
});

test('nothing at all is the coldest there is, also against the middle', () => {
  const row = v => toCells({step: [0, 1], value: [v, v]}, 0, 1, 2), rows = [row(0), row(1e-6), row(1e-4), row(1e-2)];
  for (const relative of [false, true]) assert.equal(colouring(rows, 'log', relative).place(0, 0), 0);
  assert.equal(colouring([row(0), row(0)], 'log', true).place(0, 0), 0.5);
});

test('a reading that was kept stands for the steps up to it', () => {
  assert.deepEqual([...toCells({step: [300], value: [5], every: 256}, 200, 399, 200).kinds].map(kind => kind === VALUE).lastIndexOf(true), 100);
  assert.equal([...toCells({step: [300], value: [5], every: 256}, 200, 399, 200).kinds].filter(kind => kind === VALUE).length, 101);
});

test('scales and ticks', () => {
  assert.equal(chooseScale('log', [1, 2, 3]).kind, 'linear');
  assert.equal(chooseScale('log', [1e-6, 1e-3, 1]).kind, 'log');
  assert.equal(chooseScale('log', [-1, 1e-6, 1]).kind, 'linear');
  assert.equal(chooseScale('signed', [-1, 1e-6, 1, 1e-5]).kind, 'asinh');
  assert.equal(chooseScale('auto', []).kind, 'linear');
  assert.deepEqual(ticks(0, 1, 5), [0, 0.2, 0.4, 0.6000000000000001, 0.8, 1]);
  assert.ok(ticks(-3, 1e9, 6).length <= 8);
  // Neighbouring doubles: a step between them is too small to be added to either.
  assert.ok(ticks(2.73e6, 2.73e6 + 4.7e-10, 8).length <= 3);
  for (const [low, high] of [[-0.05263, -0.05262], [-2.7361e6, -2.7318e6], [0, 1], [1e-7, 9e-7]]) {
    const found = ticks(low, high, 6), texts = tickTexts(found);
    assert.equal(new Set(texts).size, found.length, String(texts));
    found.forEach((t, i) => assert.ok(Math.abs(Number(texts[i].replace(/−/g, '-')) - t) < 1e-9 * Math.abs(t || 1), `${texts[i]} for ${t}`));
  }
  assert.deepEqual(tickTexts([0, 0.2, 0.4, 0.6000000000000001]), ['0', '0.2', '0.4', '0.6']);
});

test('layers are told apart by what their names do not share', () => {
  assert.deepEqual(withoutShared(['encoder.layer.1.fc', 'encoder.layer.2.fc']), ['1.fc', '2.fc']);
  assert.deepEqual(withoutShared(['encoder.a', 'encode.a']), ['encoder.a', 'encode.a']);
  assert.deepEqual(withoutShared(['a.b', 'a.b.c']), ['b', 'b.c']);
  assert.deepEqual(withoutShared(['a.b']), ['a.b']);
  assert.deepEqual(withoutShared([]), []);
});

test('ranges stay within the whole', () => {
  const whole = {from: 100, to: 1100};
  assert.deepEqual(zoomed(whole, whole, 0.5), {from: 350, to: 850});
  assert.deepEqual(zoomed(whole, whole, 0.5, 100), {from: 100, to: 600});
  assert.equal(zoomed({from: 350, to: 850}, whole, 2), null);
  assert.deepEqual(zoomed({from: 500, to: 501}, whole, 0.1), {from: 500, to: 501});
  assert.deepEqual(panned({from: 900, to: 1000}, whole, 5), {from: 1000, to: 1100});
  assert.deepEqual(panned({from: 150, to: 250}, whole, -0.9), {from: 100, to: 200});
  assert.equal(within({from: -5, to: 5000}, whole), null);
  assert.equal(wheeled({deltaX: 0, deltaY: 30}, 500), null);
  assert.ok(wheeled({deltaX: 0, deltaY: -30, ctrlKey: true}, 500).factor < 1);
  assert.equal(wheeled({deltaX: 250, deltaY: 10}, 500).part, 0.5);
});

test('every metric has a name and a sentence', () => {
  for (const m of [...ofRun, ...ofLayers]) assert.ok(m.name && m.sentence.length > 10 && m.scale, m.key);
});

test('without uPlot the daemon gets the plain page', () => {
  const home = mkdtempSync(join(tmpdir(), 'pyro-embed-'));
  for (const file of readdirSync(join(ROOT, 'web'))) {
    if (/\.(html|js|css|svg)$/.test(file)) cpSync(join(ROOT, 'web', file), join(home, file));
  }
  const embed = web => {
    const done = spawnSync('python3', [join(ROOT, 'scripts/embed.py'), web, join(home, 'assets.c')], {encoding: 'utf8'});
    assert.equal(done.status, 0, done.stderr);
    return {said: done.stderr, table: readFileSync(join(home, 'assets.c'), 'utf8')};
  };
  const names = table => [...table.matchAll(/^\{"([^"]+)"/gm)].map(m => m[1]);
  const plain = embed(home), full = embed(join(ROOT, 'web'));
  rmSync(home, {recursive: true});
  assert.match(plain.said, /no uPlot/);
  assert.deepEqual(names(plain.table), ['icon.svg', 'index.html', 'plain.js', 'style.css']);
  assert.ok(names(full.table).includes('uplot.js') && names(full.table).includes('main.js') && !names(full.table).includes('plain.js'));
  assert.equal(full.said, '');
});
