// The heat map's numbers: which value stands in which column, and which colour a value has.
import {value as read} from './format.js';
import {chooseScale, finite, project, quantiles} from './scales.js';

const SOME = 10000; // values that a scale of colours is chosen by

export const EMPTY = 0, VALUE = 1, WILD = 2; // WILD: NaN or infinite

// One layer's series spread over columns of equal width between from and to. Where several points
// meet in a column the one furthest from the layer's middle wins, so that a spike is never lost.
export function toCells(series, from, to, columns) {
  const values = new Float64Array(columns), kinds = new Uint8Array(columns);
  const {step} = series, n = step.length;
  const numbers = series.value.map(read);
  const [middle] = quantiles(numbers, [0.5]);
  const widths = [];
  for (let i = 1; i < n; i++) widths.push(step[i] - step[i - 1]);
  const usual = Math.max(series.every || 1, [...widths].sort((a, b) => a - b)[Math.floor(widths.length / 2)] || 1);
  const at = x => Math.floor(((x - from) * columns) / (to - from + 1) + 1e-9);
  for (let i = 0; i < n; i++) {
    const since = i && widths[i - 1] <= 2.5 * usual ? step[i - 1] + 1 : step[i] - (i ? usual : series.every || 1) + 1;
    const wild = !finite(numbers[i]) || (series.nonfinite && series.nonfinite[i]);
    const best = furthest(series, i, numbers[i], middle);
    for (let c = Math.max(0, at(since)); c <= Math.min(columns - 1, at(step[i])); c++) {
      put(values, kinds, c, wild ? WILD : VALUE, best, middle);
    }
  }
  return {values, kinds};
}

function furthest(series, i, value, middle) {
  const candidates = [value, series.min && read(series.min[i]), series.max && read(series.max[i])].filter(finite);
  return candidates.reduce((a, v) => (Math.abs(v - middle) > Math.abs(a - middle) ? v : a), candidates[0]);
}

function put(values, kinds, c, kind, value, middle) {
  if (kinds[c] === WILD) return;
  if (kind === WILD || kinds[c] === EMPTY || Math.abs(value - middle) > Math.abs(values[c] - middle)) {
    values[c] = value;
    kinds[c] = kind;
  }
}

// rows: cells of the layers in view. wish: the metric's scale. relative: each column against the
// middle of its layers. Returns {place(value, column) -> 0..1, diverging, low, high, ...}. Nothing at
// all, which a logarithm has no place for, is the coldest there is.
export function colouring(rows, wish, relative) {
  const all = someValues(rows);
  const scale = chooseScale(wish, all);
  const of = project(scale);
  if (relative && rows.length > 1) return relativeColouring(rows, of, scale);
  const [low, high] = quantiles(all.map(of), [0.01, 0.99]);
  const signed = all.some(v => v < 0) && all.some(v => v > 0);
  if (signed) {
    const reach = Math.max(Math.abs(low), Math.abs(high)) || 1;
    return {place: v => 0.5 + of(v) / (2 * reach), diverging: true, low: -reach, high: reach, scale};
  }
  const width = high - low || 1;
  return {place: v => (finite(of(v)) ? (of(v) - low) / width : 0), diverging: false, low, high, scale};
}

// The least, the greatest and every k-th value: a scale of a hundred thousand cells is that of some of them.
function someValues(rows) {
  const some = [], every = Math.max(1, Math.floor((rows.length * (rows[0]?.values.length || 0)) / SOME));
  let n = 0, least = Infinity, most = -Infinity;
  for (const {values, kinds} of rows) {
    for (let c = 0; c < values.length; c++) {
      if (kinds[c] !== VALUE) continue;
      if (n++ % every === 0) some.push(values[c]);
      if (values[c] < least) least = values[c];
      if (values[c] > most) most = values[c];
    }
  }
  return n ? [least, most, ...some] : [];
}

function relativeColouring(rows, of, scale) {
  const columns = rows[0].values.length;
  const middles = new Float64Array(columns);
  const away = [];
  for (let c = 0; c < columns; c++) {
    const here = rows.filter(r => r.kinds[c] === VALUE).map(r => of(r.values[c])).filter(finite);
    [middles[c]] = quantiles(here, [0.5]);
    here.forEach(v => away.push(Math.abs(v - middles[c])));
  }
  const reach = quantiles(away, [0.98])[0] || 1;
  const place = (v, c) => (finite(of(v)) ? 0.5 + (of(v) - middles[c]) / (2 * reach) : finite(middles[c]) ? 0 : 0.5);
  return {place, diverging: true, low: -reach, high: reach, scale, relative: true};
}

// The value at a part of the colour scale, for its legend.
export function unproject(scale, place) {
  if (scale.kind === 'log') return 10 ** place;
  if (scale.kind === 'asinh') return Math.sinh(place) * scale.threshold;
  return place;
}
