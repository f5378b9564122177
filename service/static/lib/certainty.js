/** How certain a label is, as a number and as a colour that colour-blind people can read. */

/** @typedef {import("./types.js").Segment} Segment */
/** @typedef {{known: boolean, confidence?: number|null, share?: number|null}} Judged */

// Cividis (Nuñez, Anderton and Renslow, 2018), from certain to uncertain: lightness rises evenly, blue turns to yellow.
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const LEAST = 0.2; // certainty that has the last colour; smaller ones have it, too
/** Steps of certainty that are drawn alike. */
export const STEPS = 40;
/** Certainties that the legend names. */
export const TICKS = [1, 0.8, 0.6, 0.4, LEAST];

/**
 * How certain the label of a segment is: its confidence, or its share of the vote while nothing is calibrated.
 * @param {Judged} segment
 * @returns {number|null} 0..1; null: the segment is unknown
 */
export function certaintyOf({ known, confidence, share }) {
  return known ? (confidence ?? share ?? 0) : null;
}

/** Whether the certainty of an answer's segments is a confidence. False: it is the share of the vote. @param {Judged[]} segments */
export const isCalibrated = (segments) => segments.some((one) => typeof one.confidence === "number");

/** The colour of a certainty. @param {number} certainty 0..1 @returns {string} */
export function certaintyColor(certainty) {
  const at = Math.min(Math.max((1 - certainty) / (1 - LEAST), 0), 1) * (CIVIDIS.length - 1);
  const from = Math.min(Math.floor(at), CIVIDIS.length - 2);
  const [low, high] = [channels(CIVIDIS[from]), channels(CIVIDIS[from + 1])];
  return `rgb(${low.map((value, n) => Math.round(value + (high[n] - value) * (at - from))).join(" ")})`;
}

/** The colours from certain to uncertain as a CSS gradient, to the right. */
export const certaintyGradient = `linear-gradient(to right, ${CIVIDIS.join(", ")})`;

/** @param {string} color #rrggbb @returns {number[]} 0..255 */
const channels = (color) => [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));

/**
 * The share of the image in each range between two ticks, and of unknown segments.
 * @param {(Judged & {area: number})[]} segments
 * @param {number} pixels of the image
 * @returns {{ranges: number[], unknown: number}} ranges: between TICKS[n] and TICKS[n + 1]; the last one: below
 */
export function certaintyShares(segments, pixels) {
  const ranges = TICKS.map(() => 0);
  let unknown = 0;
  for (const segment of segments) {
    const certainty = certaintyOf(segment);
    if (certainty === null) unknown += segment.area / pixels;
    else ranges[TICKS.findIndex((_, n) => n === TICKS.length - 1 || certainty >= TICKS[n + 1])] += segment.area / pixels;
  }
  return { ranges, unknown };
}
