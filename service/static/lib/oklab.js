/** Colours that can be told apart: distances in OKLab (B. Ottosson, 2020), in which equal distances look equal. */

import { UNKNOWN_COLOR } from "./classes.js";

/** @typedef {[number, number, number]} Lab lightness 0..1, and two colour axes of about -0.4..0.4 */

const STEP = 17; // between values of a channel of candidates
const LIGHTNESS = [0.5, 0.82]; // white and black outlines are visible on either side
const CHROMA = [0.09, 0.21]; // greys are for what is unknown; brighter colours look like neon, and several of them alike
const LIGHTNESS_COUNTS = 0.5; // in distances: colours of one hue are confused although one is lighter

/** @param {string} color "#rrggbb" @returns {Lab} */
export function oklab(color) {
  const [r, g, b] = [1, 3, 5].map((at) => linear(Number.parseInt(color.slice(at, at + 2), 16) / 255));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** @param {number} value of an sRGB channel, 0..1 */
const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);

/** @param {Lab} one @param {Lab} other */
const distance = (one, other) =>
  Math.hypot(LIGHTNESS_COUNTS * (one[0] - other[0]), one[1] - other[1], one[2] - other[2]);

/** @type {{color: string, lab: Lab}[]} */
let candidates = [];

/** Colours that a new class may get. */
function candidateColors() {
  const steps = Array.from({ length: 16 }, (_, n) => n * STEP);
  return steps
    .flatMap((r) => steps.flatMap((g) => steps.map((b) => hex(r, g, b))))
    .map((color) => ({ color, lab: oklab(color) }))
    .filter(({ lab: [light, a, b] }) => isBetween(light, LIGHTNESS) && isBetween(Math.hypot(a, b), CHROMA));
}

/** @param {number} value @param {number[]} limits */
const isBetween = (value, [least, most]) => value >= least && value <= most;

/** @param {number} r @param {number} g @param {number} b each 0..255 */
function hex(r, g, b) {
  return `#${[r, g, b].map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * The candidate whose nearest colour among those taken is the farthest. The grey of unknown segments is always taken.
 * @param {string[]} taken "#rrggbb"
 */
export function mostDistinctColor(taken) {
  const labs = [...taken, UNKNOWN_COLOR].map(oklab);
  if (!candidates.length) candidates = candidateColors();
  let best = "";
  let farthest = -1;
  for (const { color, lab } of candidates) {
    const nearest = Math.min(...labs.map((one) => distance(one, lab)));
    if (nearest > farthest) [best, farthest] = [color, nearest];
  }
  return best;
}
