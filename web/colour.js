// Colours that carry numbers. All paths run in Oklab (Ottosson 2020), so that equal differences of
// the number look equally large; lightness grows along the whole of the sequential one.

const linear = c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const gamma = c => (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055);

export function toOklab(hex) {
  const [r, g, b] = [1, 3, 5].map(i => linear(parseInt(hex.slice(i, i + 2), 16) / 255));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s];
}

function toRgb([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s]
    .map(c => Math.round(255 * gamma(Math.min(1, Math.max(0, c)))));
}

// 256 colours along the stops, evenly spaced by their distance in Oklab.
function ramp(hexes) {
  const stops = hexes.map(toOklab);
  const lengths = [0];
  for (let i = 1; i < stops.length; i++) {
    lengths.push(lengths[i - 1] + Math.hypot(...stops[i].map((c, k) => c - stops[i - 1][k])));
  }
  const total = lengths[lengths.length - 1];
  const colours = new Uint8Array(256 * 3);
  for (let i = 0, at = 1; i < 256; i++) {
    const want = (i / 255) * total;
    while (at < stops.length - 1 && lengths[at] < want) at++;
    const part = (want - lengths[at - 1]) / (lengths[at] - lengths[at - 1]);
    colours.set(toRgb(stops[at].map((c, k) => stops[at - 1][k] + part * (c - stops[at - 1][k]))), 3 * i);
  }
  return colours;
}

// Cold to hot: night, violet, crimson, ember, amber, white heat.
const THERMAL = ramp(['#0b0a1f', '#3b1466', '#8c2369', '#d0453f', '#f2852b', '#f9c955', '#fcf6cf']);
// Below and above: ice, nothing, fire; the middle is the ground it is drawn on.
const DIVERGING_DARK = ramp(['#bfe6ff', '#5aa7ea', '#2b5f9e', '#22303f', '#241f1c', '#4a2a20', '#b0442a', '#f28a3c', '#ffe0a3']);
const DIVERGING_LIGHT = ramp(['#0b2c5c', '#2566ad', '#7fb1de', '#d3e2ef', '#f6f2ec', '#f5d9c4', '#ec9a63', '#c94a1f', '#6e160c']);

export const thermal = () => THERMAL;
export const diverging = dark => (dark ? DIVERGING_DARK : DIVERGING_LIGHT);

// What is not finite: no ramp has this.
export const NONFINITE = [0, 214, 190];

export const rgb = (colours, part) => {
  const i = 3 * Math.round(255 * Math.min(1, Math.max(0, part)));
  return `rgb(${colours[i]} ${colours[i + 1]} ${colours[i + 2]})`;
};
