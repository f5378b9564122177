/** The segment of each pixel, from the run lengths of the segments. */

import { runLengthsOf } from "./run_lengths.js";

/** @typedef {import("./types.js").Segment} Segment */

/** The label of pixels that belong to no segment. */
export const NONE = 0xffff;
/** Pixels of the longer side. Larger images are sampled: segments are much coarser than pixels. */
const LONGEST = 1600;

/**
 * The labels of every `step`-th pixel of an image in both directions.
 * labels[row * columns + column] is the index of a segment, or NONE.
 */
export class LabelGrid {
  /** @param {number} width @param {number} height pixels of the image */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.step = Math.max(1, Math.ceil(Math.max(width, height) / LONGEST));
    this.columns = Math.ceil(width / this.step);
    this.rows = Math.ceil(height / this.step);
    this.labels = new Uint16Array(this.columns * this.rows).fill(NONE);
  }

  /** The grid of an answer's segments. @param {Pick<Segment, "mask">[]} segments @param {number} width @param {number} height */
  static of(segments, width, height) {
    const grid = new LabelGrid(width, height);
    segments.forEach((segment, index) => grid.#paint(segment, index));
    return grid;
  }

  /**
   * The segment at a pixel of the image.
   * @param {number} x
   * @param {number} y
   * @returns {number} its index, or -1
   */
  at(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return -1;
    const label = this.labels[Math.floor(y / this.step) * this.columns + Math.floor(x / this.step)];
    return label === NONE ? -1 : label;
  }

  /** The labels with each segment replaced by its class. @param {number[]} classes of the segments */
  classLabels(classes) {
    const table = new Uint16Array(NONE + 1).fill(NONE);
    table.set(classes);
    return this.labels.map((label) => table[label]);
  }

  /** @param {Pick<Segment, "mask">} segment @param {number} index */
  #paint(segment, index) {
    let start = 0;
    runLengthsOf(segment).forEach((length, turn) => {
      if (turn % 2) this.#fill(start, start + length, index);
      start += length;
    });
  }

  /** @param {number} start @param {number} end pixels counted down the columns @param {number} index */
  #fill(start, end, index) {
    const { height, step, columns, labels } = this;
    for (let column = Math.floor(start / height); column * height < end; column++) {
      if (column % step) continue;
      const top = Math.max(start - column * height, 0);
      const bottom = Math.min(end - column * height, height);
      let at = Math.ceil(top / step) * columns + column / step;
      for (let y = Math.ceil(top / step) * step; y < bottom; y += step, at += columns) labels[at] = index;
    }
  }
}
