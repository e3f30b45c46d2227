// The layers as a thermal picture: a row a layer, a column a stretch of steps. Only the rows on the
// screen are asked for, in pages, with as many points as there are columns. The strip on the right
// shows every layer's newest value at once and scrolls.
import {series as ask} from './api.js';
import {VALUE, WILD, colouring, toCells, unproject} from './cells.js';
import {GUTTER, MARGIN, keptEvery} from './chart.js';
import {NONFINITE, diverging, rgb, thermal} from './colour.js';
import {css, el, fitCanvas, isDark, onTheme, onceAFrame} from './dom.js';
import {count, number, shortCount, withoutShared} from './format.js';
import {ticks} from './scales.js';
import {wheeled} from './zoom.js';

const PAGE = 40; // layers a request
const TALLEST = 460; // of the picture, before it scrolls
const AXIS = 24;
const LABEL_ROW = 11; // lowest row that takes a name
const UNDER_NONFINITE = [10, 20, 20]; // beside its colour, in stripes

export class HeatMap {
  // options: run, layers (names), onPick(name), onZoom(from, to), onCursor(step), onRead(text), onWheel(what, step)
  constructor(options) {
    Object.assign(this, options);
    this.top = 0; // scrolled, in CSS pixels
    this.row = -1; // under the cursor
    this.column = -1;
    this.pages = new Map();
    this.places = new Map(this.layers.map((layer, i) => [layer, i]));
    this.names = withoutShared(this.layers);
    this.generation = 0;
    this.picture = el('canvas', {class: 'picture'});
    this.over = el('canvas', {class: 'overlay'});
    this.strip = el('canvas', {class: 'strip', title: 'All layers now; drag to scroll'});
    this.frame = el('div', {class: 'heat', tabindex: 0, role: 'application', 'aria-roledescription': 'heat map',
      'aria-label': 'Layers over steps. Arrows move, Enter opens the layer, Page Up and Page Down scroll.'},
    this.picture, this.over, this.strip);
    this.frame.heat = this; // as a chart's root has its chart
    this.legend = el('canvas', {class: 'legend', role: 'img', 'aria-label': 'Scale of colours'});
    this.note = el('p', {class: 'plot-note'});
    this.root = el('div', {}, this.frame, el('div', {class: 'heat-foot'}, this.note, this.legend));
    this.paint = onceAFrame(() => this.draw());
    this.paintOver = onceAFrame(() => this.drawOver());
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.frame);
    this.stopTheme = onTheme(() => this.repaint());
    this.listen();
  }

  destroy() {
    this.observer.disconnect();
    this.stopTheme();
    if (this.stop) this.stop.abort();
  }

  // What is shown: metric (of metrics.js), from, to, relative, newest (name -> value), marks ([{step, layer, kind}]).
  // The same range asked for again, as a live run grows, keeps the old picture until the new one has come.
  show(view) {
    const same = this.view && this.view.metric.key === view.metric.key;
    this.view = view;
    this.generation++;
    if (!same) this.pages.clear();
    this.repaint();
    return this.load();
  }

  // Other steps, before the values for them have come: what is there is moved.
  see(from, to) {
    if (!this.view) return;
    Object.assign(this.view, {from, to});
    this.paint();
  }

  mark(marks) {
    this.view.marks = marks;
    this.paintOver();
  }

  // With colours that are chosen anew.
  repaint() {
    this.colours = null;
    this.paint();
  }

  geometry() {
    const width = this.frame.clientWidth, gutter = GUTTER(), n = this.layers.length;
    const h = Math.max(3, Math.min(26, Math.floor(TALLEST / Math.max(1, n))));
    const height = Math.min(TALLEST, n * h);
    return {width, gutter, h, height, plot: Math.max(10, width - gutter - MARGIN), n,
      most: Math.max(0, n * h - height)};
  }

  columns(g) {
    const steps = this.view.to - this.view.from + 1;
    return Math.max(1, Math.min(steps, Math.floor(Math.min(g.plot, 1200) / 60) * 30));
  }

  resized() {
    const {width} = this.geometry();
    if (width === this.width || !this.view) return;
    this.width = width;
    this.paint();
    this.load();
  }

  visible(g) {
    const first = Math.floor(this.top / g.h), last = Math.min(g.n - 1, Math.ceil((this.top + g.height) / g.h));
    return {first, last};
  }

  // Asks for the visible pages that are not of this generation, one after the other.
  async load() {
    if (this.stop) this.stop.abort();
    this.stop = new AbortController();
    const {signal} = this.stop, g = this.geometry();
    if (!g.width || !this.view || !g.n) return;
    const columns = this.columns(g), {first, last} = this.visible(g);
    let came = false;
    for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page++) {
      const key = `${this.generation}|${columns}`;
      if (this.pages.get(page)?.key === key) continue;
      try {
        await this.loadPage(page, columns, key, signal);
        came = true;
      } catch (error) {
        if (error.name === 'AbortError') return;
        this.note.textContent = error.message;
        return;
      }
    }
    if (came) this.repaint();
    this.note.textContent = this.pages.size ? this.coverage(g) : '';
  }

  coverage(g) {
    const {first, last} = this.visible(g);
    return [g.most ? `Layers ${first + 1} to ${last} of ${count(g.n)}.` : '', this.kept].filter(Boolean).join(' ');
  }

  async loadPage(page, columns, key, signal) {
    const {metric, from, to} = this.view;
    const layers = this.layers.slice(page * PAGE, (page + 1) * PAGE);
    const answer = await ask(this.run, {metrics: [metric.key], layers, from, to, points: Math.max(2, columns)}, signal);
    const rows = new Map();
    this.kept = keptEvery(answer.series);
    answer.series.forEach(one => rows.set(one.layer, toCells(one, from, to, columns)));
    this.pages.set(page, {key, rows, from, to, columns, first: page * PAGE, layers});
    // The others keep the colours that they have until all are there: choosing anew paints every page.
    if (this.pages.size > 1 && this.colours && !this.colours.relative) this.paint();
    else this.repaint();
  }

  rowOf(i) {
    const page = this.pages.get(Math.floor(i / PAGE));
    return page && page.rows.get(this.layers[i]) ? {page, cells: page.rows.get(this.layers[i])} : null;
  }

  draw() {
    const g = this.geometry();
    if (!g.width || !this.view) return;
    this.frame.style.height = `${g.height + AXIS}px`;
    this.top = Math.min(this.top, g.most);
    const context = fitCanvas(this.picture, g.width, g.height + AXIS);
    fitCanvas(this.over, g.width, g.height + AXIS);
    const {first, last} = this.visible(g);
    if (!this.colours) this.chooseColours();
    this.drawEmpty(context, g);
    context.save();
    context.beginPath();
    context.rect(g.gutter, 0, g.plot, g.height);
    context.clip();
    this.pages.forEach(page => this.drawPage(context, g, page));
    context.fillStyle = css('--panel');
    for (let i = Math.max(1, first); g.h >= 8 && i <= last; i++) context.fillRect(g.gutter, i * g.h - this.top - 1, g.plot, 1);
    context.restore();
    this.drawNames(context, g, first, last);
    this.drawSteps(context, g);
    this.drawStrip(g);
    this.drawLegend();
    this.drawOver();
  }

  // The ground of what was not measured: faint strokes.
  drawEmpty(context, g) {
    context.fillStyle = css('--sunken');
    context.fillRect(g.gutter, 0, g.plot, g.height);
    context.strokeStyle = css('--grid');
    context.lineWidth = 1;
    context.save();
    context.beginPath();
    context.rect(g.gutter, 0, g.plot, g.height);
    context.clip();
    context.beginPath();
    for (let x = -g.height; x < g.plot; x += 9) {
      context.moveTo(g.gutter + x, g.height);
      context.lineTo(g.gutter + x + g.height, 0);
    }
    context.stroke();
    context.restore();
  }

  // One scale for all layers that are known, so that a colour keeps its meaning when the picture is scrolled.
  chooseColours() {
    const pages = [...this.pages.values()], newest = pages[pages.length - 1];
    const rows = pages.filter(page => page.columns === newest.columns).flatMap(page => [...page.rows.values()]);
    this.colours = colouring(rows, this.view.metric.scale, this.view.relative);
    this.palette = this.colours.diverging ? diverging(isDark()) : thermal();
    pages.forEach(page => (page.image = null));
  }

  // A page's cells, a pixel each: scrolling, zooming and panning only place these.
  paintPage(page) {
    const n = page.columns, canvas = Object.assign(document.createElement('canvas'), {width: n, height: page.layers.length});
    const small = canvas.getContext('2d'), image = small.createImageData(n, page.layers.length), {data} = image;
    page.layers.forEach((layer, row) => {
      const cells = page.rows.get(layer);
      for (let c = 0, at = 4 * row * n; cells && c < n; c++, at += 4) {
        const part = cells.kinds[c] === VALUE ? this.colours.place(cells.values[c], c) : NaN;
        if (cells.kinds[c] !== WILD && Number.isNaN(part)) continue;
        const k = 3 * Math.round(255 * Math.min(1, Math.max(0, part)));
        const from = cells.kinds[c] === WILD ? (c % 2 ? NONFINITE : UNDER_NONFINITE) : this.palette;
        const start = cells.kinds[c] === WILD ? 0 : k;
        data[at] = from[start];
        data[at + 1] = from[start + 1];
        data[at + 2] = from[start + 2];
        data[at + 3] = 255;
      }
    });
    small.putImageData(image, 0, 0);
    return canvas;
  }

  drawPage(context, g, page) {
    const y = page.first * g.h - this.top, height = page.layers.length * g.h;
    if (y > g.height || y + height < 0) return;
    page.image = page.image || this.paintPage(page);
    const {from, to} = this.view, scale = g.plot / (to - from + 1);
    context.imageSmoothingEnabled = false;
    context.drawImage(page.image, g.gutter + (page.from - from) * scale, y, (page.to - page.from + 1) * scale, height);
  }

  drawNames(context, g, first, last) {
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    const every = Math.max(1, Math.ceil(LABEL_ROW / g.h));
    for (let i = first; i <= last; i++) {
      if (i % every) continue;
      const y = i * g.h - this.top + (every > 1 ? LABEL_ROW / 2 : g.h / 2);
      if (y < 4 || y > g.height - 3) continue;
      context.fillStyle = css(this.layers[i] === this.chosen ? '--accent' : '--soft');
      context.fillText(clip(context, this.names[i], g.gutter - 14), g.gutter - 8, y);
    }
  }

  drawSteps(context, g) {
    const {from, to} = this.view;
    context.fillStyle = css('--soft');
    context.textAlign = 'center';
    context.textBaseline = 'top';
    for (const t of ticks(from, to, Math.max(2, Math.floor(g.plot / 80)))) {
      context.fillText(shortCount(t), g.gutter + ((t - from + 0.5) / (to - from + 1)) * g.plot, g.height + 8);
    }
  }

  // The newest value of every layer, cold to hot, with the part that is on the screen marked.
  drawStrip(g) {
    const width = 12;
    const context = fitCanvas(this.strip, width, g.height);
    this.strip.style.left = `${g.gutter + g.plot + 6}px`;
    const newest = this.view.newest;
    for (let y = 0; y < g.height; y++) {
      const i = Math.min(g.n - 1, Math.floor((y / g.height) * g.n)), v = newest && newest.get(this.layers[i]);
      if (typeof v !== 'number') continue;
      const n = this.pages.size ? this.columns(g) - 1 : 0;
      context.fillStyle = Number.isFinite(v) ? rgb(this.palette, this.colours.place(v, n)) : `rgb(${NONFINITE.join(' ')})`;
      context.fillRect(0, y, width, 1);
    }
    if (g.most) {
      context.strokeStyle = css('--ink');
      context.lineWidth = 2;
      context.strokeRect(1, (this.top / (g.n * g.h)) * g.height + 1, width - 2, (g.height / (g.n * g.h)) * g.height - 2);
    }
  }

  drawLegend() {
    const width = Math.min(340, this.root.clientWidth - 20), context = fitCanvas(this.legend, width, 46);
    const {low, high, scale, relative} = this.colours, bar = width - 60, {unit} = this.view.metric;
    for (let x = 0; x < bar; x++) {
      context.fillStyle = rgb(this.palette, x / (bar - 1));
      context.fillRect(x, 0, 1, 10);
    }
    context.fillStyle = `rgb(${NONFINITE.join(' ')})`;
    context.fillRect(bar + 12, 0, 14, 10);
    context.fillStyle = css('--soft');
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = 'top';
    context.textAlign = 'left';
    context.fillText('NaN', bar + 30, -1);
    if (!Number.isFinite(low)) return;
    const written = (part, digits) => {
      const at = low + part * (high - low);
      if (!relative) return number(unproject(scale, at), digits);
      return scale.kind === 'log' ? `×${number(10 ** at, digits)}` : `${at > 0 ? '+' : ''}${number(at, digits)}`;
    };
    // As many digits as it takes to tell the ends and the middle apart.
    const digits = [2, 3, 4, 5].find(d => new Set([0, 0.5, 1].map(part => written(part, d))).size === 3) || 6;
    const name = part => written(part, digits);
    [['left', 0], ['center', 0.5], ['right', 1]].forEach(([align, part]) => {
      context.textAlign = align;
      context.fillText(name(part), part * bar, 15);
    });
    const [cold, hot] = relative ? ['colder', 'hotter'] : this.view.metric.thermometer ? ['cold', 'hot'] : ['low', 'high'];
    [['left', 0, cold], ['center', 0.5, relative ? 'than the middle layer' : unit], ['right', 1, hot]].forEach(([align, part, text]) => {
      context.textAlign = align;
      context.fillText(text, part * bar, 30);
    });
    this.legend.setAttribute('aria-label', `Colours from ${name(0)} to ${name(1)}${unit && !relative ? ` ${unit}` : ''}${relative ? ', against the middle of the layers' : ''}`);
  }

  // Cursor, chosen layer and the range being dragged.
  drawOver() {
    const g = this.geometry();
    if (!g.width || !this.view) return;
    const context = fitCanvas(this.over, g.width, g.height + AXIS);
    context.beginPath();
    context.rect(0, 0, g.width, g.height);
    context.clip();
    const chosen = this.layers.indexOf(this.chosen);
    context.strokeStyle = css('--accent');
    context.lineWidth = 2;
    if (chosen >= 0) context.strokeRect(g.gutter + 1, chosen * g.h - this.top, g.plot - 2, g.h - 1);
    this.drawMarks(context, g);
    context.strokeStyle = css('--ink');
    context.lineWidth = 1;
    const x = this.cursor === null || this.cursor === undefined ? null
      : g.gutter + ((this.cursor - this.view.from + 0.5) / (this.view.to - this.view.from + 1)) * g.plot;
    if (x !== null && x >= g.gutter && x <= g.gutter + g.plot) {
      context.globalAlpha = 0.5;
      context.fillStyle = css('--ink');
      context.fillRect(Math.round(x), 0, 1, g.height);
      context.globalAlpha = 1;
    }
    if (this.row >= 0) context.strokeRect(g.gutter + 0.5, this.row * g.h - this.top + 0.5, g.plot - 1, g.h - 1);
    if (this.drag) {
      context.fillStyle = css('--accent');
      context.globalAlpha = 0.25;
      context.fillRect(Math.min(this.drag.from, this.drag.to), 0, Math.abs(this.drag.to - this.drag.from), g.height);
    }
  }

  // A layer's alerts, where they fired.
  drawMarks(context, g) {
    const {from, to, marks} = this.view, s = Math.min(5, Math.max(2.5, g.h / 4));
    for (const mark of marks || []) {
      const row = this.places.get(mark.layer), x = g.gutter + ((mark.step - from + 0.5) / (to - from + 1)) * g.plot;
      const y = row * g.h - this.top;
      if (row === undefined || x < g.gutter || x > g.gutter + g.plot || y < -g.h || y > g.height) continue;
      context.beginPath();
      context.moveTo(x - s, y);
      context.lineTo(x + s, y);
      context.lineTo(x, y + 1.7 * s);
      context.closePath();
      context.fillStyle = css(`--${mark.kind}`);
      context.fill();
      context.strokeStyle = css('--panel');
      context.lineWidth = 1;
      context.stroke();
    }
  }

  follow(step) {
    this.cursor = step;
    this.paintOver();
  }

  choose(name) {
    this.chosen = name;
    this.paint();
  }

  stepAt(x, g) {
    const {from, to} = this.view;
    return Math.floor(from + ((x - g.gutter) / g.plot) * (to - from + 1));
  }

  // Says what stands at a row and a step.
  read(row, step) {
    const found = row >= 0 ? this.rowOf(row) : null;
    if (!found || step === null) return;
    const {page, cells} = found;
    const c = Math.floor(((step - page.from) / (page.to - page.from + 1)) * cells.values.length);
    const what = cells.kinds[c] === VALUE ? number(cells.values[c]) : cells.kinds[c] === WILD ? 'NaN or infinite' : 'not measured';
    this.onRead(`${this.layers[row]}, step ${count(step)}: ${what}${cells.kinds[c] === VALUE && this.view.metric.unit ? ` ${this.view.metric.unit}` : ''}`);
  }

  scroll(to) {
    const g = this.geometry();
    const top = Math.min(g.most, Math.max(0, to));
    if (top === this.top) return false;
    this.top = top;
    this.paint();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.load(), 120);
    return true;
  }

  listen() {
    const place = event => {
      const box = this.frame.getBoundingClientRect(), g = this.geometry();
      const x = event.clientX - box.left, y = event.clientY - box.top;
      return {g, x, y, inside: x >= g.gutter && x <= g.gutter + g.plot && y < g.height && y >= 0,
        row: Math.min(g.n - 1, Math.floor((y + this.top) / g.h))};
    };
    this.frame.addEventListener('pointerdown', event => {
      const p = place(event);
      if (event.target === this.strip) return this.dragStrip(event, p.g);
      if (event.button === 0 && p.inside) this.start = {x: p.x, row: p.row};
    });
    this.frame.addEventListener('pointermove', event => {
      const p = place(event);
      if (this.start && event.pointerType === 'mouse' && Math.abs(p.x - this.start.x) > 5) {
        this.frame.setPointerCapture(event.pointerId);
        this.drag = {from: this.start.x, to: Math.min(p.g.gutter + p.g.plot, Math.max(p.g.gutter, p.x))};
      }
      this.row = p.inside ? p.row : -1;
      this.cursor = p.inside ? this.stepAt(p.x, p.g) : null;
      this.onCursor(this.cursor, this);
      if (p.inside) this.read(this.row, this.cursor);
      this.paintOver();
    });
    this.frame.addEventListener('pointerup', event => this.release(place(event)));
    this.frame.addEventListener('pointerleave', () => this.leave());
    this.frame.addEventListener('dblclick', () => this.onZoom(null, null));
    this.frame.addEventListener('wheel', event => {
      const p = place(event), what = this.view && wheeled(event, p.g.plot);
      if (what) this.onWheel(what, this.stepAt(p.x, p.g));
      if (what || this.scroll(this.top + event.deltaY)) event.preventDefault();
    }, {passive: false});
    this.frame.addEventListener('keydown', event => this.key(event));
  }

  leave() {
    this.row = -1;
    if (!this.drag) this.onCursor(null, this);
    this.paintOver();
  }

  release(p) {
    const {drag, start} = this;
    this.drag = this.start = null;
    this.paintOver();
    if (drag) {
      const [a, b] = [drag.from, drag.to].map(x => this.stepAt(x, p.g)).sort((x, y) => x - y);
      if (b > a) this.onZoom(Math.max(0, a), b);
    } else if (start && p.inside && p.row >= 0) {
      this.pick(p.row);
    }
  }

  pick(row) {
    this.choose(this.layers[row]);
    this.onPick(this.layers[row]);
  }

  dragStrip(event, g) {
    this.strip.setPointerCapture(event.pointerId);
    const go = e => this.scroll(((e.clientY - this.frame.getBoundingClientRect().top) / g.height) * g.n * g.h - g.height / 2);
    go(event);
    this.strip.onpointermove = go;
    this.strip.onpointerup = () => (this.strip.onpointermove = null);
  }

  key(event) {
    const g = this.geometry(), {from, to} = this.view, stride = Math.max(1, Math.round((to - from + 1) / this.columns(g)));
    const at = this.cursor ?? to;
    const moves = {
      ArrowUp: () => (this.row = Math.max(0, this.row - 1)), ArrowDown: () => (this.row = Math.min(g.n - 1, this.row + 1)),
      ArrowLeft: () => (this.cursor = Math.max(from, at - stride)), ArrowRight: () => (this.cursor = Math.min(to, at + stride)),
      PageUp: () => (this.row = Math.max(0, this.row - Math.floor(g.height / g.h))),
      PageDown: () => (this.row = Math.min(g.n - 1, this.row + Math.floor(g.height / g.h))),
      Home: () => (this.row = 0), End: () => (this.row = g.n - 1),
      Enter: () => this.row >= 0 && this.pick(this.row), ' ': () => this.row >= 0 && this.pick(this.row),
    };
    if (!moves[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    moves[event.key]();
    this.row = Math.max(0, this.row);
    this.cursor = this.cursor ?? at;
    const y = this.row * g.h;
    if (y < this.top) this.scroll(y);
    else if (y + g.h > this.top + g.height) this.scroll(y + g.h - g.height);
    this.read(this.row, this.cursor);
    this.onCursor(this.cursor, this);
    this.paintOver();
  }
}

// A name that fits: its beginning and its end, since either may tell layers apart.
function clip(context, name, width) {
  if (context.measureText(name).width <= width) return name;
  const letters = [...name];
  for (let kept = letters.length - 1; kept > 0; kept--) {
    const text = `${letters.slice(0, Math.floor(kept / 2)).join('')}…${letters.slice(letters.length - Math.ceil(kept / 2)).join('')}`;
    if (context.measureText(text).width <= width) return text;
  }
  return '…';
}
