// Numbers and times as text. null is 'not measured'; NaN and infinities are themselves.

export const MISSING = '–';

// The daemon writes what is not finite as a string.
export function value(x) {
  if (typeof x === 'number') return x;
  if (x === 'NaN') return NaN;
  if (x === 'Infinity') return Infinity;
  if (x === '-Infinity') return -Infinity;
  return null;
}

const minus = text => text.replaceAll('-', '−');

export function number(x, digits = 4) {
  const v = value(x);
  if (v === null) return MISSING;
  if (Number.isNaN(v)) return 'NaN';
  if (!Number.isFinite(v)) return v > 0 ? '∞' : '−∞';
  if (v === 0) return '0';
  const size = Math.abs(v);
  if (size >= 1e6 || size < 1e-3) {
    const [head, tail] = v.toExponential(digits - 2).split('e');
    return minus(`${head}e${Number(tail)}`);
  }
  return minus(String(Number(v.toPrecision(digits))));
}

// Evenly spaced numbers of an axis, with so many digits that neighbours differ.
export function tickTexts(ticks) {
  const order = v => Math.floor(Math.log10(v)), gap = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 0;
  const most = Math.max(...ticks.map(Math.abs));
  const digits = gap ? order(most) - order(gap * (1 + 1e-9)) + 1 : 1;
  return ticks.map(v => number(v, Math.min(15, Math.max(3, digits + 1))));
}

// A whole number with thin spaces between its thousands.
export function count(x) {
  const v = value(x);
  return v === null || !Number.isFinite(v) ? MISSING : String(Math.round(v)).replace(/\B(?=(\d{3})+$)/g, '\u2009');
}

// "12k", "1.5M": for axes of steps.
export function shortCount(x) {
  if (Math.abs(x) >= 1e6) return `${Number((x / 1e6).toPrecision(4))}M`;
  if (Math.abs(x) >= 1e4) return `${Number((x / 1e3).toPrecision(4))}k`;
  return String(Math.round(x * 100) / 100);
}

export function interval(low, high) {
  return value(low) === null || value(high) === null ? '' : `${number(low, 3)} to ${number(high, 3)}`;
}

// Names without the dotted beginning that all of them share.
export function withoutShared(names) {
  const [first = '', ...others] = names;
  let shared = names.length > 1 ? first.lastIndexOf('.') + 1 : 0;
  while (shared && !others.every(name => name.startsWith(first.slice(0, shared)))) shared = first.lastIndexOf('.', shared - 2) + 1;
  return names.map(name => name.slice(shared));
}

export function duration(seconds) {
  const s = Math.max(0, seconds);
  if (s < 1) return 'less than 1 s';
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${(s / 3600).toFixed(1)} h`;
  return `${(s / 86400).toFixed(1)} days`;
}

export function ago(time) {
  if (typeof time !== 'number') return MISSING;
  const s = Date.now() / 1000 - time;
  return s < 5 ? 'now' : `${duration(s)} ago`;
}

export function moment(time) {
  if (typeof time !== 'number') return MISSING;
  return new Date(time * 1000).toLocaleString([], {dateStyle: 'medium', timeStyle: 'medium'});
}
