// A plot over steps: lines with bands, what is not finite, gaps, and marks for events and alerts.
// uPlot draws; dragging asks the owner for a range instead of stretching what is there.
import {css, el, onTheme} from './dom.js';
import {number, shortCount, tickTexts, value as read} from './format.js';
import {chooseScale, finite, project, quantiles, ticks} from './scales.js';
import {wheeled} from './zoom.js';

export const GUTTER = () => (innerWidth < 700 ? 58 : 116); // left of every plot, so that steps line up
export const MARGIN = 30; // right of it

const COLOURS = 8;
export const lineColour = i => css(`--line-${(i % COLOURS) + 1}`);

// A column of one series: its points in order, with a hole wherever something is missing.
function column(series) {
  const steps = [], raw = [], values = [], mins = [], maxs = [], wild = [];
  const n = series.step.length;
  const widths = [];
  for (let i = 1; i < n; i++) widths.push(series.step[i] - series.step[i - 1]);
  const usual = [...widths].sort((a, b) => a - b)[Math.floor(widths.length / 2)] || 1;
  const shown = x => (finite(x) ? x : null);
  const push = (step, v, min, max) => {
    steps.push(step);
    raw.push(v);
    values.push(shown(v));
    mins.push(min);
    maxs.push(max);
  };
  for (let i = 0; i < n; i++) {
    const v = read(series.value[i]);
    if (i && widths[i - 1] > 2.5 * usual) push(series.step[i - 1] + usual / 2, null, null, null);
    if (!finite(v) || (series.nonfinite && series.nonfinite[i])) wild.push(series.step[i]);
    push(series.step[i], v, shown(series.min ? read(series.min[i]) : null), shown(series.max ? read(series.max[i]) : null));
  }
  const {step = [], low = [], high = []} = series.interval || {};
  const bounds = {steps: step, lows: low.map(read).map(shown), highs: high.map(read).map(shown)};
  return {steps, raw, values, mins, maxs, wild, bounds};
}

// What lies between a hole and the next value is part of the hole: uPlot would draw through undefined places.
function widenHoles(values) {
  for (let i = 0; i < values.length;) {
    let end = i;
    while (end < values.length && values[end] === undefined) end++;
    if (end > i && (values[i - 1] === null || values[end] === null)) values.fill(null, i, end);
    i = end + 1;
  }
  return values;
}

// A range that is too long to be read anew at every step is drawn from readings kept at some: what to say of it.
export function keptEvery(series) {
  const every = Math.max(0, ...series.map(one => one.every || 0));
  return every ? `One reading each ${every} steps: zoom in for all.` : '';
}

// The columns of all series under their common steps; undefined where another series has a point.
function align(columns) {
  const all = [...new Set(columns.flatMap(c => [...c.steps, ...c.bounds.steps]))].sort((a, b) => a - b);
  const place = new Map(all.map((step, i) => [step, i]));
  const spread = (steps, values) => {
    const out = new Array(all.length).fill(undefined);
    steps.forEach((step, i) => (out[place.get(step)] = values[i]));
    return widenHoles(out);
  };
  return {all, spread};
}

export class Chart {
  // options: title, height, scale (a metric's wish), onZoom(from, to), onCursor(step), onWheel(what, step)
  constructor(options) {
    this.options = options;
    this.box = el('div', {class: 'plot', role: 'img', 'aria-label': options.title});
    this.note = el('p', {class: 'plot-note'});
    this.root = el('div', {class: 'chart'}, this.box, this.note);
    this.root.chart = this; // for the tests and whoever looks from the console
    this.marks = [];
    this.shape = '';
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.box);
    this.stopTheme = onTheme(() => this.rebuild());
    this.box.addEventListener('wheel', event => {
      const what = this.plot && options.onWheel && wheeled(event, this.plot.over.clientWidth);
      if (!what) return;
      event.preventDefault();
      options.onWheel(what, this.plot.posToVal(event.clientX - this.plot.over.getBoundingClientRect().left, 'x'));
    }, {passive: false});
  }

  destroy() {
    this.observer.disconnect();
    this.stopTheme();
    if (this.plot) this.plot.destroy();
  }

  // data: {series: [{label, step, value, min?, max?, interval?: {step, low, high}, nonfinite?}], from, to,
  //        marks: [{step, kind: 'event' | severity, text}]}
  set(data) {
    this.data = data;
    this.marks = data.marks || [];
    this.columns = data.series.map(column);
    const values = this.columns.flatMap(c => c.values.concat(c.mins, c.maxs)).filter(finite);
    this.scale = chooseScale(this.options.scale || 'auto', values);
    this.lowest = values.reduce((a, v) => (v > 0 && v < a ? v : a), Infinity);
    const shape = JSON.stringify([data.series.map(s => [s.label, !!s.min, !!s.interval]), this.scale.kind,
      this.scale.threshold && Math.round(Math.log10(this.scale.threshold))]);
    const {all, spread} = align(this.columns);
    this.table = [all];
    this.read = new Map(); // place in the table -> the values as they are, for the legend
    this.columns.forEach((c, i) => {
      this.read.set(this.table.length, spread(c.steps, c.raw));
      this.table.push(spread(c.steps, this.safe(c.values)));
      if (data.series[i].min) this.table.push(spread(c.steps, this.safe(c.maxs)), spread(c.steps, this.safe(c.mins)));
      if (data.series[i].interval) this.table.push(spread(c.bounds.steps, this.safe(c.bounds.highs)), spread(c.bounds.steps, this.safe(c.bounds.lows)));
    });
    if (shape !== this.shape || !this.plot) {
      this.shape = shape;
      this.rebuild();
    } else {
      this.plot.setData(this.table, false);
      this.plot.setScale('x', this.range());
      if (this.plot.cursor.idx === null) this.plot.setLegend({idx: null}, false);
      this.tell();
    }
  }

  // Other steps, before the values for them have come: what is there is moved.
  see(from, to) {
    if (!this.plot) return;
    this.plot.setScale('x', {min: from, max: to > from ? to : from + 1});
  }

  // What is nothing or less has no place on a logarithmic scale: it stands at the plot's foot.
  safe(values) {
    if (this.scale.kind !== 'log') return values;
    return values.map(v => (v !== null && v <= 0 ? this.lowest / 10 : v));
  }

  range() {
    const {from, to} = this.data;
    return {min: from, max: to > from ? to : from + 1};
  }

  tell() {
    const n = this.columns.reduce((sum, c) => sum + c.wild.length, 0);
    const kept = keptEvery(this.data.series);
    const empty = this.columns.every(c => !c.steps.length);
    const wild = n ? `${n} ${n === 1 ? 'point holds' : 'points hold'} NaN or infinities: marked at the top.` : '';
    this.note.textContent = empty ? kept || 'Nothing was measured in this range.' : [kept, wild].filter(Boolean).join(' ');
  }

  resize() {
    const width = Math.floor(this.box.clientWidth);
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({width, height: this.height()});
  }

  height() {
    return innerWidth < 700 ? Math.min(this.options.height, 200) : this.options.height;
  }

  rebuild() {
    if (!this.data || !this.box.clientWidth) {
      requestAnimationFrame(() => this.data && this.box.clientWidth && this.box.isConnected && this.rebuild());
      return;
    }
    if (this.plot) this.plot.destroy();
    this.plot = new uPlot(this.settings(), this.table, this.box);
    this.plot.setScale('x', this.range());
    this.tell();
  }

  lines() {
    const series = [{value: (u, x) => (x === null || x === undefined ? 'newest' : shortCount(x)), label: 'step'}];
    const bands = [];
    this.data.series.forEach((one, i) => {
      const colour = one.colour || lineColour(i);
      const gaps = {spanGaps: false, points: {show: (u, k) => this.sparse(k)}};
      series.push({label: one.label, stroke: colour, width: 1.5, value: (u, v, k, at) => this.show(k, at), ...gaps});
      const band = (alpha, auto) => {
        const at = series.length;
        const hidden = {auto, stroke: 'transparent', width: 0, points: {show: false}, spanGaps: false, class: 'unseen'};
        series.push({label: `${one.label} upper`, ...hidden}, {label: `${one.label} lower`, ...hidden});
        bands.push({series: [at, at + 1], fill: colour.replace('rgb(', 'rgba(').replace(')', `, ${alpha})`)});
      };
      if (one.min) band(0.2, true);
      if (one.interval) band(0.13, false);
    });
    return {series, bands};
  }

  // Points are drawn where a line would not show them: few of them, or alone between gaps.
  sparse(k) {
    const values = this.table[k];
    let n = 0;
    for (let i = 0; i < values.length && n < 40; i++) if (finite(values[i])) n++;
    return n < 40;
  }

  // Under the cursor; without one the newest.
  show(k, at) {
    const read = this.read.get(k);
    return number((at === null || at === undefined ? read.findLast(v => typeof v === 'number') : read[at]) ?? null);
  }

  settings() {
    const ink = css('--soft'), grid = {stroke: css('--grid'), width: 1}, quiet = {show: false};
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const distr = {linear: 1, log: 3, asinh: 4}[this.scale.kind];
    const y = {distr, range: (u, low, high) => this.span(low, high)};
    if (this.scale.kind === 'asinh') y.asinh = this.scale.threshold;
    return {
      width: Math.floor(this.box.clientWidth), height: this.height(),
      padding: [10, MARGIN, 0, 0],
      scales: {x: {time: false, auto: false}, y},
      axes: [
        {stroke: ink, font, grid, ticks: quiet, size: 28, gap: 4, space: 70, values: (u, at) => at.map(shortCount)},
        {stroke: ink, font, grid, ticks: quiet, size: GUTTER(), gap: 8, space: 26,
          splits: (u, i, low, high) => this.splits(low, high), filter: (u, at) => at,
          incrs: [1e300], // not asked for, but uPlot leaves the axis out where none of its own fits: they end at 1e32
          values: (u, at) => (this.scale.kind === 'linear' ? tickTexts(at) : at.map(v => number(v, 3)))},
      ],
      legend: {live: true, markers: {width: 2}},
      cursor: {y: false, points: {size: 6}, drag: {setScale: false, x: true, y: false},
        bind: {dblclick: () => () => this.options.onZoom && this.options.onZoom(null, null)}},
      ...this.lines(),
      hooks: {
        draw: [u => this.drawMarks(u)],
        setSelect: [u => this.select(u)],
        setCursor: [u => this.moved(u)],
      },
    };
  }

  // Round numbers; of the other scales the whole decades between, or thinned to what fits; on both sides of nothing for asinh.
  splits(low, high) {
    if (this.scale.kind === 'linear') return ticks(low, high, Math.max(2, Math.floor(this.height() / 30)));
    const found = [];
    const decades = (from, to, sign) => {
      const first = Math.floor(Math.log10(from)), last = Math.ceil(Math.log10(to));
      const every = Math.max(1, Math.ceil((last - first) / 5));
      for (let d = first; d <= last; d++) {
        if ((d - first) % every) continue;
        for (const k of last - first <= 1 ? [1, 2, 5] : [1]) found.push(sign * k * 10 ** d);
      }
    };
    if (this.scale.kind === 'log') decades(low, high, 1);
    else {
      const near = this.scale.threshold;
      if (high > near) decades(near, high, 1);
      if (low < -near) decades(near, -low, -1);
      found.push(0);
    }
    const within = found.filter(v => v >= low && v <= high).sort((a, b) => a - b);
    return within.length > 1 ? this.thin(within, low, high) : ticks(low, high, 4);
  }

  // Leaves out what would stand too close to its neighbour; nothing itself stays.
  thin(found, low, high) {
    const of = project(this.scale), pixels = this.height() / (of(high) - of(low));
    const far = (a, b) => Math.abs(of(a) - of(b)) * pixels >= 20;
    const kept = found.includes(0) ? [0] : [];
    for (const v of found) if (kept.every(k => far(k, v))) kept.push(v);
    return kept.sort((a, b) => a - b);
  }

  span(least, most) {
    if (!finite(least) || !finite(most)) return [0, 1];
    const [low, high] = this.reach(least, most);
    if (this.scale.kind === 'log') return [low / 1.25, high * 1.25];
    if (this.scale.kind === 'asinh') return [low < 0 ? low * 1.2 : low / 1.2, high > 0 ? high * 1.2 : high / 1.2];
    const room = (high - low || Math.abs(high) || 1) * 0.08;
    return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
  }

  // Room for most of the intervals, but no more than the curves themselves take: they may be endless.
  reach(low, high) {
    const of = project(this.scale), bounds = this.columns.map(c => c.bounds);
    const [bottom] = quantiles(bounds.flatMap(b => b.lows), [0.1]), [, top] = quantiles(bounds.flatMap(b => b.highs), [0, 0.9]);
    const room = of(high) - of(low) || Infinity;
    const within = v => finite(of(v)) && of(v) > of(low) - room && of(v) < of(high) + room;
    return [within(bottom) ? Math.min(low, bottom) : low, within(top) ? Math.max(high, top) : high];
  }

  select(u) {
    const {left, width} = u.select;
    if (width < 4) return;
    const from = Math.max(0, Math.round(u.posToVal(left, 'x'))), to = Math.round(u.posToVal(left + width, 'x'));
    u.setSelect({left: 0, top: 0, width: 0, height: 0}, false);
    if (to > from && this.options.onZoom) this.options.onZoom(from, to);
  }

  moved(u) {
    if (this.quiet || !this.options.onCursor) return;
    const {left} = u.cursor;
    const step = left >= 0 ? u.posToVal(left, 'x') : null;
    this.options.onCursor(step, this);
    const near = left >= 0 && this.marks.find(m => Math.abs(u.valToPos(m.step, 'x') - left) < 5);
    if (near) this.note.textContent = `Step ${near.step}: ${near.text}`;
    else this.tell();
  }

  // Shows the others' cursor.
  follow(step) {
    if (!this.plot) return;
    this.quiet = true;
    const left = step === null ? -10 : this.plot.valToPos(step, 'x');
    this.plot.setCursor({left, top: step === null ? -10 : 5});
    this.quiet = false;
  }

  drawMarks(u) {
    const {ctx} = u, ratio = devicePixelRatio || 1;
    const {left, top, width, height} = u.bbox;
    const seen = this.marks.map(mark => ({mark, x: u.valToPos(mark.step, 'x', true)})).filter(({x}) => x >= left && x <= left + width);
    // Many events are a fence that hides the curve: their dots are enough then.
    const faint = seen.filter(({mark}) => mark.kind === 'event').length > 24;
    ctx.save();
    for (const {mark, x} of seen) {
      ctx.strokeStyle = ctx.fillStyle = css(mark.kind === 'event' ? '--soft' : `--${mark.kind}`);
      ctx.lineWidth = ratio;
      ctx.setLineDash(mark.kind === 'event' ? [2 * ratio, 3 * ratio] : []);
      ctx.globalAlpha = mark.kind !== 'event' ? 0.55 : faint ? 0.12 : 0.7;
      ctx.beginPath();
      ctx.moveTo(x, top);
      ctx.lineTo(x, top + height);
      ctx.stroke();
      ctx.globalAlpha = 1;
      this.flag(ctx, mark.kind, x, top, ratio);
    }
    ctx.restore();
    this.drawWild(u, ctx, ratio);
  }

  flag(ctx, kind, x, top, ratio) {
    const s = 4 * ratio;
    ctx.beginPath();
    if (kind === 'event') ctx.arc(x, top, s * 0.7, 0, 2 * Math.PI);
    else {
      ctx.moveTo(x - s, top - s);
      ctx.lineTo(x + s, top - s);
      ctx.lineTo(x, top + s);
    }
    ctx.fill();
  }

  // Where a value is NaN or infinite: a tick at the top, in a colour that nothing else has.
  drawWild(u, ctx, ratio) {
    const {left, top, width} = u.bbox;
    ctx.save();
    ctx.fillStyle = css('--nonfinite');
    for (const step of this.columns.flatMap(c => c.wild)) {
      const x = u.valToPos(step, 'x', true);
      if (x >= left && x <= left + width) ctx.fillRect(x - ratio, top, 2 * ratio, 8 * ratio);
    }
    ctx.restore();
  }
}
