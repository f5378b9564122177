/** COCO's compressed run lengths. */

/** @typedef {import("./types.js").Segment} Segment */
/** @typedef {{segments: Pick<Segment, "mask">[]}} Drawn */

/** The run lengths of a segment; empty where the answer has none. @param {Pick<Segment, "mask">} segment */
export const runLengthsOf = ({ mask }) => (mask && "counts" in mask ? decodeRunLengths(mask.counts) : []);

/**
 * Decode the run lengths of a mask: pixels outside and inside by turns, down the columns.
 * @param {string} counts
 * @returns {number[]}
 */
export function decodeRunLengths(counts) {
  /** @type {number[]} */
  const lengths = [];
  let at = 0;
  while (at < counts.length) {
    let value = 0;
    let digit = 0;
    for (let shift = 0; ; shift += 5) {
      digit = counts.charCodeAt(at++) - 48;
      value |= (digit & 31) << shift;
      if (digit & 32) continue;
      if (digit & 16 && shift < 27) value |= -1 << (shift + 5);
      break;
    }
    // From the fourth on, a length is stored as its difference to the last but one.
    lengths.push(lengths.length > 2 ? value + lengths[lengths.length - 2] : value);
  }
  return lengths;
}

/** The run lengths of a segment as text. @param {Pick<Segment, "mask">} segment */
const countsOf = ({ mask }) => (mask && "counts" in mask ? mask.counts : null);

/** Whether two answers of an image have the same segments in the same order. @param {Drawn} one @param {Drawn} other */
export const haveSameSegments = (one, other) =>
  one.segments.length === other.segments.length &&
  one.segments.every((segment, n) => countsOf(segment) === countsOf(other.segments[n]));

/**
 * The index in another answer of the segment with the same pixels.
 * @param {Pick<Segment, "mask">} segment
 * @param {number} index that it has in its own answer
 * @param {Drawn} answer
 * @returns {number} -1: the answer has no such segment
 */
export function indexOfSame(segment, index, { segments }) {
  const counts = countsOf(segment);
  if (segments[index] && countsOf(segments[index]) === counts) return index;
  return segments.findIndex((one) => countsOf(one) === counts);
}

/**
 * Encode the run lengths of a mask as COCO's compressed text.
 * @param {number[]} lengths of pixels outside and inside by turns, down the columns
 */
export function encodeRunLengths(lengths) {
  return lengths.map((length, n) => encodeNumber(n > 2 ? length - lengths[n - 2] : length)).join("");
}

/** A number in digits of five bits, the lowest first; the sixth bit says that more follow. @param {number} value */
function encodeNumber(value) {
  let text = "";
  for (let more = true; more; ) {
    const digit = value & 31;
    value >>= 5;
    more = digit & 16 ? value !== -1 : value !== 0;
    text += String.fromCharCode((more ? digit | 32 : digit) + 48);
  }
  return text;
}
