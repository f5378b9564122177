/** Sets of pixels of an image: those under a stroke, inside outlines, or of a mask. */

import { decodeRunLengths, encodeRunLengths } from "./run_lengths.js";

/** @typedef {[number, number]} Point x, y in pixels of the image; the first pixel has its centre at (0.5, 0.5) */
/** @typedef {{x: number, y: number, width: number, height: number, bits: Uint8Array}} Pixels a window of the image;
 *   bits[row * width + column] is 1 for a pixel of the set */
/** @typedef {{size: [number, number], counts: string}} Mask COCO run lengths; size: height, width of the image */
/** @typedef {{width: number, height: number}} Size of the image */

/**
 * The pixels whose centre is at most half the width away from the line; where there is none, those that the points lie
 * in. The service has the same rule.
 * @param {Point[]} points at least one
 * @param {number} width
 * @param {Size} size
 * @returns {Pixels}
 */
export function pixelsOfLine(points, width, size) {
  const pixels = windowAround(points, width / 2 + 1, size);
  points.forEach((point, n) => coverLine(pixels, n ? points[n - 1] : point, point, width / 2));
  if (!pixels.bits.includes(1)) for (const [x, y] of points) setBit(pixels, Math.floor(x), Math.floor(y));
  return pixels;
}

/**
 * The pixels whose centre is inside an odd number of rings.
 * @param {Point[][]} rings
 * @param {Size} size
 * @returns {Pixels}
 */
export function pixelsOfRings(rings, size) {
  const pixels = windowAround(rings.flat(), 1, size);
  for (let row = 0; row < pixels.height; row++) {
    const crossings = rings.flatMap((ring) => crossingsOf(ring, pixels.y + row + 0.5)).sort((a, b) => a - b);
    for (let n = 0; n + 1 < crossings.length; n += 2) {
      const first = Math.max(Math.ceil(crossings[n] - 0.5) - pixels.x, 0);
      const last = Math.min(Math.ceil(crossings[n + 1] - 0.5) - pixels.x, pixels.width);
      if (first < last) pixels.bits.fill(1, row * pixels.width + first, row * pixels.width + last);
    }
  }
  return pixels;
}

/** @param {string} counts COCO's compressed run lengths @param {Size} size @param {number[]} [bbox] x, y, width, height
 * @returns {Pixels} */
export function pixelsOfMask(counts, { width, height }, bbox = [0, 0, width, height]) {
  const pixels = { x: bbox[0], y: bbox[1], width: bbox[2], height: bbox[3], bits: new Uint8Array(bbox[2] * bbox[3]) };
  let at = 0; // counted down the columns
  decodeRunLengths(counts).forEach((length, turn) => {
    if (turn % 2) for (let n = at; n < at + length; n++) setBit(pixels, Math.floor(n / height), n % height);
    at += length;
  });
  return pixels;
}

/**
 * Remove pixels from a set.
 * @param {Pixels} from
 * @param {Pixels} removed
 * @returns {{left: Pixels, changed: boolean, empty: boolean}} changed: whether the sets had a common pixel; empty: no
 *   pixel is left
 */
export function without(from, removed) {
  const left = { ...from, bits: from.bits.slice() };
  let changed = false;
  for (let y = Math.max(from.y, removed.y); y < Math.min(from.y + from.height, removed.y + removed.height); y++)
    for (let x = Math.max(from.x, removed.x); x < Math.min(from.x + from.width, removed.x + removed.width); x++) {
      if (!removed.bits[(y - removed.y) * removed.width + x - removed.x]) continue;
      const at = (y - from.y) * from.width + x - from.x;
      changed ||= left.bits[at] === 1;
      left.bits[at] = 0;
    }
  return { left, changed, empty: !left.bits.includes(1) };
}

/** Whether two windows have a common pixel. @param {Pixels} one @param {Pixels} other */
export const overlap = (one, other) =>
  one.x < other.x + other.width &&
  other.x < one.x + one.width &&
  one.y < other.y + other.height &&
  other.y < one.y + one.height;

/** @param {Pixels} pixels @param {Size} size @returns {Mask} */
export function maskOf(pixels, size) {
  const lengths = [0];
  let value = 0;
  let counted = 0;
  const add = (/** @type {number} */ bit, /** @type {number} */ length) => {
    if (!length) return;
    if (bit === value) lengths[lengths.length - 1] += length;
    else lengths.push(length);
    value = bit;
    counted += length;
  };
  for (let column = 0; column < pixels.width; column++) {
    add(0, (pixels.x + column) * size.height + pixels.y - counted);
    for (let row = 0; row < pixels.height; row++) add(pixels.bits[row * pixels.width + column], 1);
  }
  add(0, size.width * size.height - counted);
  return { size: [size.height, size.width], counts: encodeRunLengths(lengths) };
}

/** An empty window around points, inside the image. @param {Point[]} points @param {number} margin @param {Size} size */
function windowAround(points, margin, size) {
  const [left, top, right, bottom] = [
    clipped(Math.floor(least(points, 0) - margin), size.width),
    clipped(Math.floor(least(points, 1) - margin), size.height),
    clipped(Math.ceil(-least(points, 0, -1) + margin), size.width),
    clipped(Math.ceil(-least(points, 1, -1) + margin), size.height),
  ];
  const [width, height] = [right - left, bottom - top];
  return { x: left, y: top, width, height, bits: new Uint8Array(width * height) };
}

/** @param {number} value @param {number} most */
const clipped = (value, most) => Math.min(Math.max(value, 0), most);

/** @param {Point[]} points @param {0|1} axis @param {1|-1} [sign] */
const least = (points, axis, sign = 1) => points.reduce((found, point) => Math.min(found, sign * point[axis]), Infinity);

/** @param {Pixels} pixels @param {number} x @param {number} y */
function setBit(pixels, x, y) {
  const [column, row] = [x - pixels.x, y - pixels.y];
  if (column >= 0 && row >= 0 && column < pixels.width && row < pixels.height)
    pixels.bits[row * pixels.width + column] = 1;
}

/** @param {Pixels} pixels @param {Point} from @param {Point} to @param {number} radius */
function coverLine(pixels, from, to, radius) {
  const [alongX, alongY] = [to[0] - from[0], to[1] - from[1]];
  const squared = alongX ** 2 + alongY ** 2 || 1;
  const [left, right] = [Math.min(from[0], to[0]) - radius, Math.max(from[0], to[0]) + radius];
  const [top, bottom] = [Math.min(from[1], to[1]) - radius, Math.max(from[1], to[1]) + radius];
  for (let y = Math.max(Math.floor(top), pixels.y); y < Math.min(Math.ceil(bottom) + 1, pixels.y + pixels.height); y++)
    for (let x = Math.max(Math.floor(left), pixels.x); x < Math.min(Math.ceil(right) + 1, pixels.x + pixels.width); x++) {
      const [toX, toY] = [x + 0.5 - from[0], y + 0.5 - from[1]];
      const share = Math.min(Math.max((toX * alongX + toY * alongY) / squared, 0), 1);
      if ((toX - share * alongX) ** 2 + (toY - share * alongY) ** 2 <= radius ** 2)
        pixels.bits[(y - pixels.y) * pixels.width + x - pixels.x] = 1;
    }
}

/** Where a ring crosses a height. @param {Point[]} ring @param {number} y */
function crossingsOf(ring, y) {
  /** @type {number[]} */
  const found = [];
  ring.forEach(([x1, y1], n) => {
    const [x2, y2] = ring[(n + 1) % ring.length];
    if (y1 <= y !== y2 <= y) found.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1));
  });
  return found;
}
