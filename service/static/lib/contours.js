/** Outlines of regions as vector paths, sharp at any zoom. */

import { NONE } from "./label_grid.js";

// Directions: east, south, west, north. The walk around a region keeps the region on its left.
const DX = [1, 0, -1, 0];
const DY = [0, 1, 0, -1];
// Offsets from a corner to the pixel ahead on the left and on the right, by direction.
const LEFT = [
  [0, -1],
  [0, 0],
  [-1, 0],
  [-1, -1],
];
const RIGHT = [
  [0, 0],
  [-1, 0],
  [-1, -1],
  [0, -1],
];

/**
 * Trace the outlines of all regions. A corner is cut from the middle of one edge to the middle of the next, so that
 * stairs become slopes. A corner where three regions meet is kept, so that no gap opens between them.
 * @param {Uint16Array} labels [rows, columns], row by row; NONE belongs to no region
 * @param {number} columns
 * @param {number} rows
 * @param {(x: number, y: number) => [number, number]} place maps a corner of the grid to pixels of the image
 * @returns {Map<number, Path2D>} by label
 */
export function contours(labels, columns, rows, place) {
  /** @type {Map<number, Path2D>} */
  const paths = new Map();
  const walked = new Uint8Array(columns * rows);
  const label = (/** @type {number} */ x, /** @type {number} */ y) =>
    x < 0 || y < 0 || x >= columns || y >= rows ? -1 : labels[y * columns + x];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const at = y * columns + x;
      const own = labels[at];
      if (own === NONE || walked[at] || (x > 0 && labels[at - 1] === own)) continue;
      let path = paths.get(own);
      if (!path) paths.set(own, (path = new Path2D()));
      walk(x, y, own, label, path, place, (column, row) => (walked[row * columns + column] = 1));
    }
  }
  return paths;
}

/**
 * Walk once around a region and add the ring to its path.
 * @param {number} x
 * @param {number} y the walk begins at the left side of this pixel, southward
 * @param {number} own
 * @param {(x: number, y: number) => number} label
 * @param {Path2D} path
 * @param {(x: number, y: number) => [number, number]} place
 * @param {(x: number, y: number) => void} pass called with each pixel whose left side is walked
 */
function walk(x, y, own, label, path, place, pass) {
  const startX = x;
  const startY = y;
  let going = 1;
  let begun = false;
  const point = (/** @type {number} */ px, /** @type {number} */ py) => {
    const [left, top] = place(px, py);
    if (begun) path.lineTo(left, top);
    else path.moveTo(left, top);
    begun = true;
  };
  do {
    if (going === 1) pass(x, y);
    const middleX = x + DX[going] / 2;
    const middleY = y + DY[going] / 2;
    x += DX[going];
    y += DY[going];
    const left = label(x + LEFT[going][0], y + LEFT[going][1]);
    const right = label(x + RIGHT[going][0], y + RIGHT[going][1]);
    const next = left !== own ? (going + 3) % 4 : right !== own ? going : (going + 1) % 4;
    if (next !== going) {
      point(middleX, middleY);
      if (isJunction(label, x, y)) point(x, y);
      point(x + DX[next] / 2, y + DY[next] / 2);
    }
    going = next;
  } while (x !== startX || y !== startY || going !== 1);
  path.closePath();
}

/**
 * Whether three regions, two crossing regions or the image's edge meet at a corner.
 * @param {(x: number, y: number) => number} label
 * @param {number} x
 * @param {number} y
 */
function isJunction(label, x, y) {
  const a = label(x - 1, y - 1);
  const b = label(x, y - 1);
  const c = label(x - 1, y);
  const d = label(x, y);
  if (a < 0 || b < 0 || c < 0 || d < 0) return true;
  if (a === d && b === c) return a !== b;
  const kinds = 1 + Number(b !== a) + Number(c !== a && c !== b) + Number(d !== a && d !== b && d !== c);
  return kinds > 2;
}
