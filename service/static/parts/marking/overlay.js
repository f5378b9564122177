/** The layer over the image that shows marks: the draft, the shape that is being drawn, and what is selected. */

import { contours } from "../../lib/contours.js";
import { context2d, h } from "../../lib/dom.js";
import { NONE } from "../../lib/label_grid.js";

/** @typedef {import("../../lib/pixels.js").Pixels} Pixels */
/** @typedef {import("../../lib/pixels.js").Point} Point */
/** @typedef {import("../image_view.js").ImageView} ImageView */
/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("./shapes.js").Shape} Shape */
/**
 * @typedef {object} Shown
 * @property {Mark[]} marks
 * @property {Shape|null} shape that is being drawn
 * @property {string} color of the shape
 * @property {number} size of the brush, pixels of the image
 * @property {boolean} erasing whether the shape erases
 * @property {Path2D[]} selected outlines of what is selected
 * @property {{at: Point, ring: boolean}|null} cursor ring: in the size of the brush; else a cross
 */

const HALO = "rgb(0 0 0 / 0.7)";
const SELECTED = "#3da5ff";
const CROSS = 9; // pixels of the page

export class Overlay {
  /** @param {ImageView} view @param {() => Shown} shown */
  constructor(view, shown) {
    this.view = view;
    this.shown = shown;
    this.canvas = h("canvas", { class: "layer" });
    /** @type {WeakMap<object, Path2D>} outlines of masks, by their pixels */
    this.outlines = new WeakMap();
    this.frame = 0;
    view.addLayer(this.canvas, () => this.draw());
  }

  /** Draw in the next frame. */
  redraw() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  /** The outline of pixels. @param {Pixels} pixels */
  outlineOf(pixels) {
    const known = this.outlines.get(pixels);
    if (known) return known;
    const labels = Uint16Array.from(pixels.bits, (bit) => (bit ? 0 : NONE));
    const place = (/** @type {number} */ x, /** @type {number} */ y) =>
      /** @type {Point} */ ([x + pixels.x, y + pixels.y]);
    const path = contours(labels, pixels.width, pixels.height, place).get(0) ?? new Path2D();
    this.outlines.set(pixels, path);
    return path;
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const context = context2d(this.canvas);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.view.drawing) return;
    const ratio = devicePixelRatio || 1;
    const { scale, left, top } = this.view;
    context.setTransform(scale * ratio, 0, 0, scale * ratio, left * ratio, top * ratio);
    context.lineCap = context.lineJoin = "round";
    this.#draw(context, this.shown(), 1 / scale);
  }

  /** @param {CanvasRenderingContext2D} context @param {Shown} shown @param {number} pixel of the page, in pixels of the image */
  #draw(context, shown, pixel) {
    for (const outline of shown.selected) stroke(context, outline, SELECTED, 2.5 * pixel, pixel);
    const segmentsFirst = [...shown.marks].sort((a, b) => Number(b.kind === "segment") - Number(a.kind === "segment"));
    for (const mark of segmentsFirst) this.#drawMark(context, mark, pixel);
    if (shown.shape) drawShape(context, shown.shape, shown, pixel);
    if (shown.cursor) drawCursor(context, shown.cursor, shown, pixel);
  }

  /** @param {CanvasRenderingContext2D} context @param {Mark} mark @param {number} pixel */
  #drawMark(context, mark, pixel) {
    if (mark.kind === "line") return drawLine(context, mark.points, mark.width, mark.of.color, pixel);
    const path =
      mark.kind === "area"
        ? pathOf(mark.rings)
        : mark.kind === "mask"
          ? this.outlineOf(mark.pixels)
          : this.view.outlineOf(mark.segment);
    context.fillStyle = mark.of.color;
    context.globalAlpha = mark.kind === "segment" ? 0.6 : 0.75;
    context.fill(path, mark.kind === "area" ? "evenodd" : "nonzero");
    context.globalAlpha = 1;
    stroke(context, path, mark.of.color, 2 * pixel, pixel);
  }
}

/** @param {Point[][]} rings */
function pathOf(rings) {
  const path = new Path2D();
  for (const ring of rings) {
    ring.forEach(([x, y], n) => (n ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
  }
  return path;
}

/** @param {Point[]} points */
function lineOf(points) {
  const path = new Path2D();
  for (const [x, y] of points) path.lineTo(x, y);
  path.lineTo(...points[points.length - 1]); // so that a single point is a dot
  return path;
}

/** A line with a dark edge. @param {CanvasRenderingContext2D} context @param {Path2D} path @param {string} color
 * @param {number} width @param {number} pixel */
function stroke(context, path, color, width, pixel) {
  for (const [style, extra] of /** @type {[string, number][]} */ ([
    [HALO, 2 * pixel],
    [color, 0],
  ])) {
    context.strokeStyle = style;
    context.lineWidth = width + extra;
    context.stroke(path);
  }
}

/** A stroke of the brush. @param {CanvasRenderingContext2D} context @param {Point[]} points @param {number} width
 * @param {string} color @param {number} pixel */
function drawLine(context, points, width, color, pixel) {
  context.globalAlpha = 0.9;
  stroke(context, lineOf(points), color, width, pixel);
  context.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} context @param {Shape} shape @param {Shown} shown @param {number} pixel */
function drawShape(context, shape, { color, size, erasing }, pixel) {
  if (shape.kind === "line" && !erasing) return drawLine(context, shape.points, size, color, pixel);
  if (shape.kind === "line") {
    context.globalAlpha = 0.65;
    stroke(context, lineOf(shape.points), "#ffffff", size, pixel);
    context.globalAlpha = 1;
    return;
  }
  const points = shape.end ? [...shape.points, shape.end] : shape.points;
  const path = shape.closed ? pathOf([points]) : lineOf(points);
  context.fillStyle = color;
  context.globalAlpha = 0.35;
  context.fill(path, "evenodd");
  context.globalAlpha = 1;
  stroke(context, path, color, 2 * pixel, pixel);
  if (shape.closed) return;
  for (const [n, [x, y]] of shape.points.entries()) {
    const corner = new Path2D();
    corner.arc(x, y, (n ? 3.5 : 6) * pixel, 0, 7);
    context.fillStyle = n ? color : "#ffffff";
    context.fill(corner);
    stroke(context, corner, color, 1.5 * pixel, pixel);
  }
}

/** @param {CanvasRenderingContext2D} context @param {NonNullable<Shown["cursor"]>} cursor @param {Shown} shown @param {number} pixel */
function drawCursor(context, { at: [x, y], ring }, { size, color, erasing }, pixel) {
  const path = new Path2D();
  if (ring) path.arc(x, y, Math.max(size / 2, pixel), 0, 7);
  else {
    path.moveTo(x - CROSS * pixel, y);
    path.lineTo(x + CROSS * pixel, y);
    path.moveTo(x, y - CROSS * pixel);
    path.lineTo(x, y + CROSS * pixel);
  }
  stroke(context, path, erasing || !ring ? "#ffffff" : color, 1.6 * pixel, pixel);
}
