// Ranges of steps: zooming and panning within a whole. Nothing here draws.

const LEAST = 2; // steps that a range keeps

// The range within the whole; null where it is the whole.
export function within({from, to}, whole) {
  const width = Math.max(LEAST - 1, Math.round(to - from));
  if (width >= whole.to - whole.from) return null;
  const first = Math.min(Math.max(Math.round(from), whole.from), whole.to - width);
  return {from: first, to: first + width};
}

// `factor` of the width, with the step `at` staying where it is.
export function zoomed({from, to}, whole, factor, at = (from + to) / 2) {
  const part = to > from ? (at - from) / (to - from) : 0.5, width = Math.max(LEAST - 1, (to - from) * factor);
  return within({from: at - part * width, to: at + (1 - part) * width}, whole);
}

// Moved by a part of its width.
export function panned({from, to}, whole, part) {
  const by = Math.sign(part) * Math.max(1, Math.abs(Math.round(part * (to - from))));
  return within({from: from + by, to: to + by}, whole);
}

// What a wheel asks for: {factor} with Ctrl (so a pinch on a touchpad arrives), {part} where it goes sideways, else null: the
// page scrolls.
export function wheeled(event, width) {
  if (event.ctrlKey || event.metaKey) return {factor: Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.01)};
  const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
  return Math.abs(sideways) > (event.shiftKey ? 0 : Math.abs(event.deltaY)) ? {part: sideways / width} : null;
}
