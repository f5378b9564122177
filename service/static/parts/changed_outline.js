/** The outline of the segments that an edit changed, or that marks would change. */

import { contours } from "../lib/contours.js";
import { NONE } from "../lib/label_grid.js";

/** @typedef {import("../lib/segmentation_drawing.js").SegmentationDrawing} SegmentationDrawing */
/** @typedef {import("../lib/segmentation_drawing.js").View} View */
/** @typedef {import("../lib/types.js").Segment} Segment */

const UNKNOWN = 0x7fff; // in place of the class of unknown segments

/**
 * The outline of chosen segments, neighbours with one label as one area.
 * @param {SegmentationDrawing} drawing
 * @param {Segment[]} segments of its answer
 * @param {Set<number>} chosen indices of segments
 */
export function outlineOfChanged({ grid, width, height }, segments, chosen) {
  const codes = segments.map(({ class_id: id, known }, n) => (chosen.has(n) ? (known ? (id ?? UNKNOWN) : UNKNOWN) : NONE));
  const { step, columns, rows } = grid;
  const place = (/** @type {number} */ x, /** @type {number} */ y) =>
    /** @type {[number, number]} */ ([Math.min(x * step, width), Math.min(y * step, height)]);
  const outline = new Path2D();
  for (const path of contours(grid.classLabels(codes), columns, rows, place).values()) outline.addPath(path);
  return outline;
}

/**
 * Draw a dashed line along an outline.
 * @param {CanvasRenderingContext2D} context
 * @param {View} view
 * @param {Path2D} outline
 * @param {number} ratio device pixels to a pixel of the page
 */
export function drawChanged(context, view, outline, ratio) {
  const pixel = ratio / view.scale;
  context.save();
  context.setTransform(view.scale, 0, 0, view.scale, view.x, view.y);
  context.lineJoin = "round";
  context.setLineDash([6 * pixel, 4 * pixel]);
  for (const [color, width] of /** @type {[string, number][]} */ ([
    ["rgb(0 0 0 / 0.75)", 5],
    ["#ffe14d", 2.5],
  ])) {
    context.strokeStyle = color;
    context.lineWidth = width * pixel;
    context.stroke(outline);
  }
  context.restore();
}
