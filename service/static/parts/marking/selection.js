/** What is selected to get a class: whole segments, or pieces of a segment. */

import { Emitter } from "../../lib/emitter.js";

/** @typedef {import("../../lib/label_grid.js").LabelGrid} LabelGrid */
/** @typedef {import("../../lib/pieces.js").Piece} Piece */
/** @typedef {import("../../lib/pixels.js").Point} Point */
/** @typedef {import("../../lib/types.js").Segment} Segment */
/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("./marks.js").MarkClass} MarkClass */
/** @typedef {Segment|Piece} Target */

const INSIDE = 0.5; // share of a segment that a rectangle must enclose to select it

/** @param {Target} target @returns {target is Piece} */
export const isPiece = (target) => "pixels" in target;

/**
 * Emits "changed".
 * @extends {Emitter<{changed: null}>}
 */
export class Selection extends Emitter {
  constructor() {
    super();
    /** @type {Set<Target>} */
    this.targets = new Set();
  }

  get size() {
    return this.targets.size;
  }

  /** Add a target, or take it out. @param {Target} target */
  toggle(target) {
    if (!this.targets.delete(target)) this.targets.add(target);
    this.emit("changed", null);
  }

  /** @param {Target[]} targets */
  add(targets) {
    for (const target of targets) this.targets.add(target);
    this.emit("changed", null);
  }

  /** Select these alone. @param {Target[]} targets */
  set(targets) {
    this.targets = new Set(targets);
    this.emit("changed", null);
  }

  /** @returns {boolean} whether something was selected */
  clear() {
    const had = this.size > 0;
    this.targets.clear();
    if (had) this.emit("changed", null);
    return had;
  }

  /** A mark for each target. @param {MarkClass} of @returns {Mark[]} */
  marks(of) {
    return [...this.targets].map((target) =>
      isPiece(target) ? { kind: "mask", pixels: target.pixels, of } : { kind: "segment", segment: target, of },
    );
  }
}

/**
 * The segments of which at least half lies in a rectangle.
 * @param {LabelGrid} grid
 * @param {Point} from a corner
 * @param {Point} to the opposite corner
 * @returns {number[]} their indices
 */
export function segmentsInside(grid, from, to) {
  /** @type {Map<number, number>} */
  const all = new Map();
  /** @type {Map<number, number>} */
  const inside = new Map();
  const [left, right] = [from[0], to[0]].sort((a, b) => a - b);
  const [top, bottom] = [from[1], to[1]].sort((a, b) => a - b);
  for (let row = 0; row < grid.rows; row++)
    for (let column = 0; column < grid.columns; column++) {
      const [x, y] = [column * grid.step, row * grid.step];
      const label = grid.at(x, y);
      all.set(label, (all.get(label) ?? 0) + 1);
      if (x >= left && x < right && y >= top && y < bottom) inside.set(label, (inside.get(label) ?? 0) + 1);
    }
  return [...inside].filter(([label, count]) => label >= 0 && count >= INSIDE * (all.get(label) ?? 0)).map(([label]) => label);
}
