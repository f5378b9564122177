/** The image with its labels: zoom, hover, selection. */

import { context2d, h } from "../lib/dom.js";
import { Emitter } from "../lib/emitter.js";
import { drawChanged } from "./changed_outline.js";
import { addGestures } from "./gestures.js";
import { SwiftLayer } from "./swift_layer.js";

/** @typedef {import("../lib/segmentation_drawing.js").SegmentationDrawing} SegmentationDrawing */
/** @typedef {import("../lib/segmentation_drawing.js").Labelling} Labelling */
/** @typedef {import("../lib/photo.js").Photo} Photo */

const MARGIN = 16; // pixels of the page around a fitted image
const LARGEST_FIT = 8; // pixels of the page to a pixel of the image
const LARGEST = 24;

/**
 * Another labelling that is shown for a time, such as the one that marks would give.
 * @typedef {{drawing: SegmentationDrawing, changed: Path2D}} Preview changed: the outline of what it changes
 */

/**
 * Emits "hover" and "open" with the index of a segment, -1 for none. "hover" is about the labelling that is shown.
 * @extends {Emitter<{hover: number, open: number}>}
 */
export class ImageView extends Emitter {
  constructor() {
    super();
    this.base = h("canvas", { class: "layer" });
    this.marks = h("canvas", { class: "layer" });
    this.element = h(
      "div",
      {
        class: "canvas-view",
        tabIndex: 0,
        role: "group",
        "aria-label": "Image with labels. Arrow keys go from segment to segment, Enter opens one.",
      },
      this.base,
      this.marks,
    );
    this.scale = 1; // pixels of the page to a pixel of the image
    this.left = 0;
    this.top = 0;
    this.fitted = true;
    this.covered = 0; // pixels at the bottom that a sheet covers
    this.look = { opacity: 0.55, outlines: true, only: /** @type {number|null} */ (null), certainty: false };
    this.hovered = -1;
    this.active = -1;
    this.selected = -1;
    /** @type {Set<number>} */
    this.changed = new Set();
    /** @type {Path2D|null} the outline of the segments that the last edit changed */
    this.changedOutline = null;
    /** @type {SegmentationDrawing|null} */
    this.drawing = null;
    /** @type {Photo|null} */
    this.photo = null;
    /** @type {Labelling|null} labels to show instead of the current ones: those before an edit */
    this.previous = null;
    /** @type {Preview|null} shown instead of the labels */
    this.preview = null;
    this.held = false; // whether a key is held down with which dragging always pans
    /** @type {import("./gestures.js").Drawer|null} draws with the pointer */
    this.drawer = null;
    /** @type {{canvas: HTMLCanvasElement, draw: () => void}[]} further layers over the image */
    this.layers = [];
    this.frame = 0;
    this.stale = false;
    this.swift = new SwiftLayer([this.base, this.marks], () => this.redraw());
    new ResizeObserver(() => this.#resize()).observe(this.element);
    addGestures(this);
  }

  /** @param {SegmentationDrawing} drawing @param {Photo|null} photo null where the image cannot be shown */
  show(drawing, photo) {
    this.drawing = drawing;
    this.photo = photo;
    this.previous = this.preview = null;
    this.hovered = this.active = this.selected = -1;
    this.showChanged(new Set(), null);
    this.fit();
  }

  /** Show other segments of the same image, at the same place. @param {SegmentationDrawing} drawing */
  replace(drawing) {
    this.drawing = drawing;
    this.preview = null;
    this.hovered = this.active = this.selected = -1;
    this.redraw();
  }

  /** Show the whole image. */
  fit() {
    if (!this.drawing) return;
    const [width, height] = this.#room();
    this.scale = Math.min((width - 2 * MARGIN) / this.drawing.width, (height - 2 * MARGIN) / this.drawing.height, LARGEST_FIT);
    this.left = (width - this.drawing.width * this.scale) / 2;
    this.top = (height - this.drawing.height * this.scale) / 2;
    this.fitted = true;
    this.redraw();
  }

  /** @param {number} factor @param {number} [x] @param {number} [y] the point of the view that stays in place */
  zoom(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    if (!this.drawing) return;
    const least = Math.min((0.5 * this.element.clientWidth) / this.drawing.width, 1);
    const scale = Math.min(Math.max(this.scale * factor, least), LARGEST);
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.top = y - ((y - this.top) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.#keepInView();
    this.swift.moving();
    this.redraw();
  }

  /** Zoom to a box, or, when zoomed already, back to the whole image. @param {number[]} bbox x, y, width, height */
  toggleZoom([x, y, width, height]) {
    if (!this.fitted) return this.fit();
    const [wide, high] = this.#room();
    this.scale = Math.min((wide * 0.5) / width, (high * 0.5) / height, LARGEST);
    this.left = wide / 2 - (x + width / 2) * this.scale;
    this.top = high / 2 - (y + height / 2) * this.scale;
    this.fitted = false;
    this.redraw();
  }

  /** Pan to a box that is out of view. @param {number[]} bbox x, y, width, height */
  panTo([x, y, width, height]) {
    const [wide, high] = this.#room();
    const left = this.left + (x + width / 2) * this.scale;
    const top = this.top + (y + height / 2) * this.scale;
    if (left < 0 || left > wide || top < 0 || top > high) this.pan(wide / 2 - left, high / 2 - top);
  }

  /** @param {number} x @param {number} y */
  pan(x, y) {
    this.left += x;
    this.top += y;
    this.fitted = false;
    this.#keepInView();
    this.swift.moving();
    this.redraw();
  }

  /** Leave room for a sheet. @param {number} bottom pixels of the view that it covers */
  setCovered(bottom) {
    if (this.covered === bottom) return;
    this.covered = bottom;
    if (this.fitted) this.fit();
  }

  /** Show another labelling for a time. @param {Preview|null} preview null: the labels of the answer */
  showPreview(preview) {
    this.preview = preview;
    this.hover(-1);
    this.redraw();
  }

  /** Show what an edit changed. @param {Set<number>} segments @param {Path2D|null} outline of them; null: none */
  showChanged(segments, outline) {
    this.changed = segments;
    this.changedOutline = outline;
  }

  /** The labelling that is shown. */
  get shown() {
    return this.preview?.drawing ?? this.drawing;
  }

  /** Add a layer over the image. @param {HTMLCanvasElement} canvas @param {() => void} draw called after each drawing */
  addLayer(canvas, draw) {
    this.layers.push({ canvas, draw });
    this.element.append(canvas);
  }

  /** A point of the page in pixels of the image. @param {number} clientX @param {number} clientY @returns {[number, number]} */
  toImage(clientX, clientY) {
    const box = this.element.getBoundingClientRect();
    return [(clientX - box.left - this.left) / this.scale, (clientY - box.top - this.top) / this.scale];
  }

  /** The segment of the answer at a point of the page. @param {number} clientX @param {number} clientY */
  segmentAt(clientX, clientY) {
    return this.drawing?.grid.at(...this.toImage(clientX, clientY)) ?? -1;
  }

  /** Highlight the segment under the pointer. @param {number} clientX @param {number} clientY */
  hoverAt(clientX, clientY) {
    this.hover(this.shown?.grid.at(...this.toImage(clientX, clientY)) ?? -1);
  }

  /** The outline of a segment of the answer. @param {import("../lib/types.js").Segment} segment */
  outlineOf({ segment_id: id }) {
    return this.drawing?.outlines[Number(id.slice(id.lastIndexOf("-") + 1))] ?? new Path2D();
  }

  /** @param {number} segment */
  hover(segment) {
    if (segment === this.hovered) return;
    this.hovered = segment;
    this.redraw(false);
    this.emit("hover", segment);
  }

  /** @param {number} segment */
  open(segment) {
    this.emit("open", segment);
  }

  /** Draw in the next frame. @param {boolean} [all] false: only the highlighted segments have changed */
  redraw(all = true) {
    this.stale ||= all;
    if (!this.frame) this.frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.frame = 0;
    const ratio = devicePixelRatio || 1;
    const view = { scale: this.scale * ratio, x: this.left * ratio, y: this.top * ratio };
    for (const layer of this.layers) layer.draw();
    if (this.stale && this.swift.move(view)) return;
    const { stale } = this;
    this.stale = false;
    if (!stale) return this.#drawMarks(view, ratio);
    this.swift.draw(view, () => {
      this.#drawBase(view, ratio);
      this.#drawMarks(view, ratio);
    });
  }

  /** @param {import("../lib/segmentation_drawing.js").View} view @param {number} ratio */
  #drawMarks(view, ratio) {
    const context = this.#cleared(this.marks);
    const { drawing, preview, shown } = this;
    if (!drawing || !shown) return;
    const photo = this.changed.size ? null : this.photo; // after an edit the labels matter, not the image under them
    if (this.selected >= 0) drawing.mark(context, view, this.selected, "selected", ratio, photo);
    const changed = preview?.changed ?? this.changedOutline;
    if (changed) drawChanged(context, view, changed, ratio);
    if (this.active >= 0 && this.active !== this.selected) drawing.mark(context, view, this.active, "active", ratio);
    if (this.hovered >= 0 && (preview || this.hovered !== this.selected))
      shown.mark(context, view, this.hovered, "hover", ratio);
  }

  /** @param {import("../lib/segmentation_drawing.js").View} view @param {number} ratio */
  #drawBase(view, ratio) {
    const context = this.#cleared(this.base);
    const { shown } = this;
    if (!shown) return;
    const { width, height } = shown;
    this.photo?.draw(context, view.scale, view.x, view.y, width, height);
    const opacity = this.photo ? this.look.opacity : 1;
    shown.paint(context, view, this.previous ?? shown.labelling, { ...this.look, opacity, ratio });
  }

  /** @param {HTMLCanvasElement} canvas */
  #cleared(canvas) {
    const context = context2d(canvas);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    return context;
  }

  /** Width and height of the view that is not covered. */
  #room() {
    return [Math.max(this.element.clientWidth, 64), Math.max(this.element.clientHeight - this.covered, 64)];
  }

  #keepInView() {
    if (!this.drawing) return;
    const [width, height] = this.#room();
    const [wide, high] = [this.drawing.width * this.scale, this.drawing.height * this.scale];
    this.left = Math.min(Math.max(this.left, width * 0.4 - wide), width * 0.6);
    this.top = Math.min(Math.max(this.top, height * 0.4 - high), height * 0.6);
  }

  #resize() {
    const ratio = devicePixelRatio || 1;
    for (const canvas of [this.base, this.marks, ...this.layers.map((layer) => layer.canvas)]) {
      canvas.width = Math.round(this.element.clientWidth * ratio);
      canvas.height = Math.round(this.element.clientHeight * ratio);
    }
    if (this.drawing) this.drawing.hatch = null;
    if (this.fitted) this.fit();
    else this.redraw();
    if (this.frame) cancelAnimationFrame(this.frame);
    this.stale = true;
    this.swift.drawn = null;
    this.#draw(); // at once, because a resized canvas is blank
  }
}
