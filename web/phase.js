// The phase plane: the run's path of energy over entropy, from cold (early) to hot (now).
import {rgb, thermal} from './colour.js';
import {css, el, fitCanvas, isDark, onTheme, onceAFrame} from './dom.js';
import {count, number, tickTexts, value as read} from './format.js';
import {finite, quantiles, ticks} from './scales.js';

const HEIGHT = 300, LEFT = 64, RIGHT = 14, TOP = 12, BOTTOM = 40;

export class PhasePlane {
  constructor({onCursor}) {
    this.onCursor = onCursor;
    this.canvas = el('canvas', {class: 'phase', role: 'img', 'aria-label': 'Energy over entropy: the path of the run'});
    this.note = el('p', {class: 'plot-note'});
    this.root = el('div', {class: 'chart'}, this.canvas, this.note);
    this.path = [];
    this.paint = onceAFrame(() => this.draw());
    this.observer = new ResizeObserver(() => this.paint());
    this.observer.observe(this.root);
    this.stopTheme = onTheme(() => this.paint());
    this.canvas.addEventListener('pointermove', event => this.hover(event));
    this.canvas.addEventListener('pointerleave', () => this.onCursor(null, this));
  }

  destroy() {
    this.observer.disconnect();
    this.stopTheme();
  }

  // Two series of the same range; only steps that both have are on the path.
  set(energy, entropy) {
    const at = new Map(entropy.step.map((step, i) => [step, read(entropy.value[i])]));
    this.path = energy.step.map((step, i) => ({step, x: at.get(step), y: read(energy.value[i])}))
      .filter(p => finite(p.x) && finite(p.y));
    this.note.textContent = this.path.length ? '' : 'No step has both an energy and an entropy.';
    this.paint();
  }

  bounds(key) {
    const values = this.path.map(p => p[key]);
    const [low, high] = quantiles(values, [0.002, 0.998]);
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    return {low: low - room, high: high + room};
  }

  draw() {
    const width = this.root.clientWidth;
    if (!width) return;
    const context = fitCanvas(this.canvas, width, HEIGHT);
    if (!this.path.length) return;
    const x = this.bounds('x'), y = this.bounds('y');
    this.place = p => [LEFT + ((p.x - x.low) / (x.high - x.low)) * (width - LEFT - RIGHT),
      HEIGHT - BOTTOM - ((p.y - y.low) / (y.high - y.low)) * (HEIGHT - TOP - BOTTOM)];
    this.drawAxes(context, x, y, width);
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, width - LEFT - RIGHT, HEIGHT - BOTTOM);
    context.clip();
    this.drawPath(context);
    context.restore();
    this.drawEnds(context);
  }

  drawAxes(context, x, y, width) {
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    context.fillStyle = css('--soft');
    context.strokeStyle = css('--grid');
    context.lineWidth = 1;
    context.beginPath();
    context.textAlign = 'center';
    context.textBaseline = 'top';
    const across = ticks(x.low, x.high, Math.max(2, Math.floor(width / 110))), up = ticks(y.low, y.high, 5);
    const acrossTexts = tickTexts(across), upTexts = tickTexts(up);
    across.forEach((t, i) => {
      const [px] = this.place({x: t, y: y.low});
      context.moveTo(px, TOP);
      context.lineTo(px, HEIGHT - BOTTOM);
      context.fillText(acrossTexts[i], px, HEIGHT - BOTTOM + 6);
    });
    context.fillText('entropy, nats', LEFT + (width - LEFT - RIGHT) / 2, HEIGHT - 16);
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    up.forEach((t, i) => {
      const [, py] = this.place({x: x.low, y: t});
      context.moveTo(LEFT, py);
      context.lineTo(width - RIGHT, py);
      context.fillText(upTexts[i], LEFT - 8, py);
    });
    context.stroke();
    context.save();
    context.translate(12, TOP + (HEIGHT - TOP - BOTTOM) / 2);
    context.rotate(-Math.PI / 2);
    context.textAlign = 'center';
    context.fillText('energy, loss', 0, 0);
    context.restore();
  }

  drawPath(context) {
    const n = this.path.length, dark = isDark();
    context.lineWidth = 1.6;
    context.lineJoin = 'round';
    for (let i = 1; i < n; i++) {
      const part = i / n;
      context.strokeStyle = rgb(thermal(), dark ? 0.25 + 0.7 * part : 0.1 + 0.68 * part);
      context.beginPath();
      context.moveTo(...this.place(this.path[i - 1]));
      context.lineTo(...this.place(this.path[i]));
      context.stroke();
    }
  }

  drawEnds(context) {
    const dot = (p, filled) => {
      context.beginPath();
      context.arc(...this.place(p), 4.5, 0, 2 * Math.PI);
      context.lineWidth = 2;
      context.strokeStyle = css('--ink');
      context.fillStyle = css(filled ? '--accent' : '--panel');
      context.fill();
      context.stroke();
    };
    const first = this.path[0], last = this.path[this.path.length - 1];
    dot(first, false);
    dot(last, true);
    this.name(context, first, last);
    this.name(context, last, first);
    if (this.near) dot(this.near, true);
  }

  // Beside the dot, on the side where the other end is not.
  name(context, p, other) {
    const [x, y] = this.place(p), width = this.root.clientWidth;
    const left = x > width - 90 || (x > LEFT + 90 && x < this.place(other)[0]);
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    context.textAlign = left ? 'right' : 'left';
    context.textBaseline = 'middle';
    context.lineWidth = 3;
    context.strokeStyle = css('--panel');
    context.fillStyle = css('--ink');
    const at = [`step ${count(p.step)}`, x + (left ? -9 : 9), Math.max(TOP, y - 9)];
    context.strokeText(...at);
    context.fillText(...at);
  }

  hover(event) {
    if (!this.place || !this.path.length) return;
    const box = this.canvas.getBoundingClientRect();
    const px = event.clientX - box.left, py = event.clientY - box.top;
    const far = p => {
      const [x, y] = this.place(p);
      return (x - px) ** 2 + (y - py) ** 2;
    };
    const near = this.path.reduce((a, p) => (far(p) < far(a) ? p : a));
    this.onCursor(near.step, this);
    this.show(near);
  }

  show(near) {
    this.near = near;
    this.note.textContent = near ? `Step ${count(near.step)}: energy ${number(near.y)}, entropy ${number(near.x)} nats` : '';
    this.paint();
  }

  follow(step) {
    if (step === null || !this.path.length) return this.show(null);
    const i = this.path.findIndex(p => p.step >= step);
    return this.show(this.path[i < 0 ? this.path.length - 1 : i]);
  }
}
