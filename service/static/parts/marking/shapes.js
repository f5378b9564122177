/** Shapes that are being drawn with a tool, in pixels of the image. */

import { rounded } from "./marks.js";

/** @typedef {import("../../lib/pixels.js").Point} Point */
/** @typedef {import("./tools.js").ToolName} ToolName */
/**
 * @typedef {object} Shape
 * @property {"line"|"area"} kind
 * @property {Point[]} points
 * @property {boolean} [closed] whether a line between the last point and the first is shown
 * @property {Point|null} [end] where the pointer is, while the next point is not placed yet
 */

const MOST_POINTS = 5000; // of one shape; the service accepts 10,000
const LEAST = 3; // points of an area

/** A line, or an outline drawn by hand: it follows the pointer while this is down. */
export class FreeShape {
  /** @param {"line"|"area"} kind @param {Point} start @param {number} step smallest distance of two points */
  constructor(kind, start, step) {
    this.kind = kind;
    this.step = step;
    this.closed = kind === "area";
    /** @type {Point[]} */
    this.points = [exact(start)];
  }

  /** @param {Point} to */
  move(to) {
    const [x, y] = this.points[this.points.length - 1];
    if (Math.hypot(to[0] - x, to[1] - y) < this.step) return;
    this.points.push(exact(to));
    if (this.points.length < MOST_POINTS) return;
    this.points = this.points.filter((_, n) => n % 2 === 0 || n === this.points.length - 1);
    this.step *= 2;
  }

  /** The outline; null while it encloses nothing. @returns {Point[]|null} */
  finish() {
    return this.kind === "line" || this.points.length >= LEAST ? this.points : null;
  }
}

/** A rectangle between two corners. */
export class BoxShape {
  /** @param {Point} start */
  constructor(start) {
    this.kind = /** @type {const} */ ("area");
    this.closed = true;
    this.start = exact(start);
    this.opposite = this.start;
  }

  /** @param {Point} to */
  move(to) {
    this.opposite = exact(to);
  }

  /** @returns {Point[]} */
  get points() {
    const [[left, top], [right, bottom]] = [this.start, this.opposite];
    return [
      [left, top],
      [right, top],
      [right, bottom],
      [left, bottom],
    ];
  }

  /** @returns {Point[]|null} */
  finish() {
    const [[left, top], [right, bottom]] = [this.start, this.opposite];
    return Math.abs(right - left) < 0.5 || Math.abs(bottom - top) < 0.5 ? null : this.points;
  }
}

/** An outline of corners that are placed one by one. */
export class PolygonShape {
  /** @param {Point} start */
  constructor(start) {
    this.kind = /** @type {const} */ ("area");
    this.closed = false;
    /** @type {Point[]} */
    this.points = [exact(start)];
    /** @type {Point|null} */
    this.end = null;
  }

  /** Place a corner. @param {Point} point */
  add(point) {
    const [x, y] = this.points[this.points.length - 1];
    if (Math.hypot(point[0] - x, point[1] - y) >= 0.01) this.points.push(exact(point));
  }

  /** @param {Point} to */
  move(to) {
    this.end = to;
  }

  /** Remove the last corner. @returns {boolean} whether one is left */
  removeLast() {
    this.points.pop();
    return this.points.length > 0;
  }

  /** Whether a point is so near to the first corner that it closes the outline. @param {Point} point @param {number} reach */
  closesAt([x, y], reach) {
    return this.points.length >= LEAST && Math.hypot(x - this.points[0][0], y - this.points[0][1]) <= reach;
  }

  /** @returns {Point[]|null} */
  finish() {
    return this.points.length >= LEAST ? this.points : null;
  }
}

/** @param {Point} point @returns {Point} */
const exact = ([x, y]) => [rounded(x), rounded(y)];
