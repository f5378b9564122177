/** The pieces of a segment that do not touch each other. */

import { decodeRunLengths } from "./run_lengths.js";

/** @typedef {import("./pixels.js").Pixels} Pixels */
/** @typedef {{column: number, top: number, bottom: number}} Run pixels of a column; bottom: the row after the last */
/** @typedef {{pixels: Pixels, area: number}} Piece */

/**
 * Split a mask into its connected pieces; pixels that touch at a corner are connected.
 * @param {string} counts COCO's compressed run lengths
 * @param {import("./pixels.js").Size} size of the image
 * @returns {Piece[]} the largest first
 */
export function piecesOf(counts, size) {
  const runs = runsOf(decodeRunLengths(counts), size.height);
  const parents = runs.map((_, n) => n);
  const root = (/** @type {number} */ n) => {
    while (parents[n] !== n) n = parents[n] = parents[parents[n]];
    return n;
  };
  let before = 0; // the first run of the column to the left that may still touch
  runs.forEach((run, n) => {
    while (before < n && isPast(runs[before], run)) before++;
    for (let other = before; other < n && runs[other].column < run.column && runs[other].top <= run.bottom; other++)
      if (runs[other].bottom >= run.top) parents[root(other)] = root(n);
  });
  /** @type {Map<number, Run[]>} */
  const pieces = new Map();
  runs.forEach((run, n) => {
    const key = root(n);
    const piece = pieces.get(key);
    if (piece) piece.push(run);
    else pieces.set(key, [run]);
  });
  return [...pieces.values()].map(pieceOf).sort((a, b) => b.area - a.area);
}

/** Whether no run of the column of `run`, or of a later one, or a lower one of it, touches `other`. @param {Run} other @param {Run} run */
const isPast = (other, run) =>
  other.column < run.column - 1 || (other.column === run.column - 1 && other.bottom < run.top);

/** @param {number[]} lengths @param {number} height @returns {Run[]} down the columns */
function runsOf(lengths, height) {
  /** @type {Run[]} */
  const runs = [];
  let at = 0;
  lengths.forEach((length, turn) => {
    const end = at + length;
    for (let start = at; turn % 2 && start < end; ) {
      const column = Math.floor(start / height);
      const stop = Math.min(end, (column + 1) * height);
      runs.push({ column, top: start - column * height, bottom: stop - column * height });
      start = stop;
    }
    at = end;
  });
  return runs;
}

/** @param {Run[]} runs @returns {Piece} */
function pieceOf(runs) {
  const x = runs[0].column;
  const y = Math.min(...runs.map((run) => run.top));
  const width = runs[runs.length - 1].column - x + 1;
  const height = Math.max(...runs.map((run) => run.bottom)) - y;
  const bits = new Uint8Array(width * height);
  let area = 0;
  for (const { column, top, bottom } of runs) {
    for (let row = top; row < bottom; row++) bits[(row - y) * width + column - x] = 1;
    area += bottom - top;
  }
  return { pixels: { x, y, width, height, bits }, area };
}

