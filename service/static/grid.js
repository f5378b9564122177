/** Which segment each pixel belongs to, from the segments' run lengths. */

/** @typedef {import("./types.js").Segment} Segment */

/** A pixel of no segment. */
export const NONE = 0xffff;
/** Longer pictures are sampled: segments are much coarser than their pixels. */
const LONGEST = 1600;

/**
 * Run lengths of a mask, outside and inside in turn, down the columns.
 * @param {string} counts COCO compressed
 * @returns {number[]}
 */
export function runs(counts) {
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
    // from the third on, a length is told by its difference to the last but one
    lengths.push(lengths.length > 2 ? value + lengths[lengths.length - 2] : value);
  }
  return lengths;
}

/** Labels of a picture, every `step`-th pixel of it: labels[row * columns + column] is a segment's place. */
export class Grid {
  /** @param {number} width @param {number} height of the picture, in pixels */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.step = Math.max(1, Math.ceil(Math.max(width, height) / LONGEST));
    this.columns = Math.ceil(width / this.step);
    this.rows = Math.ceil(height / this.step);
    this.labels = new Uint16Array(this.columns * this.rows).fill(NONE);
  }

  /** @param {Segment[]} segments @param {number} width @param {number} height */
  static of(segments, width, height) {
    const grid = new Grid(width, height);
    segments.forEach((segment, place) => grid.#paint(segment.mask.counts, place));
    return grid;
  }

  /**
   * The segment under a point of the picture.
   * @param {number} x
   * @param {number} y
   * @returns {number} its place, or -1
   */
  at(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return -1;
    const label = this.labels[Math.floor(y / this.step) * this.columns + Math.floor(x / this.step)];
    return label === NONE ? -1 : label;
  }

  /** Labels of classes instead of segments. @param {number[]} classes of each segment */
  mapped(classes) {
    const table = new Uint16Array(NONE + 1).fill(NONE);
    table.set(classes);
    return this.labels.map((label) => table[label]);
  }

  /** @param {string} counts @param {number} place */
  #paint(counts, place) {
    let start = 0;
    runs(counts).forEach((length, turn) => {
      if (turn % 2) this.#run(start, start + length, place);
      start += length;
    });
  }

  /** @param {number} start @param {number} end pixels counted down the columns @param {number} place */
  #run(start, end, place) {
    const { height, step, columns, labels } = this;
    for (let column = Math.floor(start / height); column * height < end; column++) {
      if (column % step) continue;
      const top = Math.max(start - column * height, 0);
      const bottom = Math.min(end - column * height, height);
      let at = Math.ceil(top / step) * columns + column / step;
      for (let y = Math.ceil(top / step) * step; y < bottom; y += step, at += columns) labels[at] = place;
    }
  }
}
