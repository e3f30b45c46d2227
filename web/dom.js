// Elements and text. What comes from the daemon (names are the jobs' own) only ever becomes text.

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === 'class') node.className = value;
    else if (key === 'text') node.textContent = value;
    else if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

export const $ = id => document.getElementById(id);

// Sets text only where it differs, so that screen readers and selections are left in peace.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function announce(text) {
  setText($('announce'), text);
}

// A colour of the style sheet as it is now, for canvases. Asking the browser means a new computation of styles: once a theme.
let probe = null;
const colours = new Map();
export function css(name) {
  if (colours.has(name)) return colours.get(name);
  if (!probe) {
    probe = el('span', {class: 'probe', 'aria-hidden': 'true'});
    document.body.append(probe);
  }
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  colours.set(name, found);
  return found;
}

const watchers = new Set();

// Calls back when the theme changes; returns how to stop that.
export function onTheme(call) {
  watchers.add(call);
  return () => watchers.delete(call);
}

export function themeChanged() {
  colours.clear();
  watchers.forEach(call => call());
}

export const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
};

// One call for many in the same frame.
export function onceAFrame(call) {
  let asked = 0;
  return () => {
    if (!asked) {
      asked = requestAnimationFrame(() => {
        asked = 0;
        call();
      });
    }
  };
}

// A canvas as large as it is shown, in device pixels; its context draws in CSS pixels.
export function fitCanvas(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  const w = Math.round(width * ratio);
  const h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
