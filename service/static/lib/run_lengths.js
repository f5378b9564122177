/** COCO's compressed run lengths. */

/** @typedef {import("./types.js").Segment} Segment */

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
