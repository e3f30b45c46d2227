// How values are spread over a plot's height or over colours.

export const finite = x => typeof x === 'number' && Number.isFinite(x);

// 'log' where all is positive over more than a factor of ten, 'asinh' where it is over decades on
// both sides of nothing, else 'linear'. `wish` is the metric's own scale.
export function chooseScale(wish, values) {
  const sizes = values.filter(finite).map(Math.abs).filter(v => v > 0).sort((a, b) => a - b);
  if (!sizes.length) return {kind: 'linear'};
  const negative = values.some(v => v < 0);
  const at = part => sizes[Math.min(sizes.length - 1, Math.floor(part * sizes.length))];
  const wide = at(0.98) / at(0.02) > 10;
  if ((wish === 'log' || wish === 'auto') && !negative) return {kind: wide ? 'log' : 'linear'};
  if (wish === 'signed' && wide) return {kind: 'asinh', threshold: at(0.25)};
  return {kind: 'linear'};
}

// A function from values to a place that can be interpolated linearly.
export function project(scale) {
  if (scale.kind === 'log') return v => (v > 0 ? Math.log10(v) : NaN);
  if (scale.kind === 'asinh') return v => Math.asinh(v / scale.threshold);
  return v => v;
}

// Quantile of numbers that need not be sorted; takes every k-th of many.
export function quantiles(values, parts) {
  const step = Math.max(1, Math.floor(values.length / 20000));
  const some = [];
  for (let i = 0; i < values.length; i += step) if (finite(values[i])) some.push(values[i]);
  some.sort((a, b) => a - b);
  return parts.map(p => (some.length ? some[Math.min(some.length - 1, Math.floor(p * some.length))] : NaN));
}

// At most `most` round numbers between the two.
export function ticks(low, high, most) {
  if (!(high > low)) return finite(low) ? [low] : [];
  const raw = (high - low) / Math.max(1, most);
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = size * [1, 2, 5, 10].find(k => k * size >= raw);
  const found = [], first = Math.ceil(low / step);
  // Counted, not added up: between neighbouring doubles a step may be too small to be added to anything.
  for (let i = 0; i <= most; i++) {
    const t = (first + i) * step;
    if (t <= high + step * 1e-9 && t !== found.at(-1)) found.push(t || 0);
  }
  return found;
}
