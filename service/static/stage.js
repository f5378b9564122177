/** The canvas with the picture: zoom, hover, selection. */

import { h } from "./dom.js";
import { follow } from "./gestures.js";

/** @typedef {import("./scene.js").Scene} Scene */
/** @typedef {import("./scene.js").Labelling} Labelling */
/** @typedef {import("./photo.js").Photo} Photo */

const MARGIN = 16;
const CLOSEST = 24;

/**
 * Announces "hover" and "open" with the segment's place in `detail`, -1 for none.
 */
export class Stage extends EventTarget {
  constructor() {
    super();
    this.base = h("canvas", { class: "layer" });
    this.marks = h("canvas", { class: "layer" });
    this.element = h(
      "div",
      {
        class: "stage-view",
        tabIndex: 0,
        role: "group",
        "aria-label": "Picture with labels. Arrow keys go from segment to segment, Enter explains one.",
      },
      this.base,
      this.marks,
    );
    this.scale = 1; // page pixels to a pixel of the picture
    this.left = 0;
    this.top = 0;
    this.fitted = true;
    this.hidden = { right: 0, bottom: 0 }; // what a sheet covers
    this.look = { opacity: 0.55, outlines: true, only: /** @type {number|null} */ (null) };
    this.hovered = -1;
    this.active = -1;
    this.selected = -1;
    /** @type {Set<number>} */
    this.changed = new Set();
    /** @type {Scene|null} */
    this.scene = null;
    /** @type {Photo|null} */
    this.photo = null;
    /** @type {Labelling|null} labels shown instead of the scene's: those before a correction */
    this.before = null;
    this.frame = 0;
    this.stale = false;
    new ResizeObserver(() => this.#resize()).observe(this.element);
    follow(this);
  }

  /** @param {Scene} scene @param {Photo|null} photo */
  show(scene, photo) {
    this.scene = scene;
    this.photo = photo;
    this.before = null;
    this.hovered = this.active = this.selected = -1;
    this.changed = new Set();
    this.fit();
  }

  fit() {
    if (!this.scene) return;
    const [width, height] = this.#room();
    this.scale = Math.min((width - 2 * MARGIN) / this.scene.width, (height - 2 * MARGIN) / this.scene.height, 8);
    this.left = (width - this.scene.width * this.scale) / 2;
    this.top = (height - this.scene.height * this.scale) / 2;
    this.fitted = true;
    this.redraw();
  }

  /** @param {number} factor @param {number} [x] @param {number} [y] the point that stays where it is */
  zoom(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    if (!this.scene) return;
    const least = Math.min((0.5 * this.element.clientWidth) / this.scene.width, 1);
    const scale = Math.min(Math.max(this.scale * factor, least), CLOSEST);
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.top = y - ((y - this.top) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.#keepInView();
    this.redraw();
  }

  /** Bring a segment near, or the whole picture back. @param {number[]} bbox x, y, width, height */
  approach([x, y, width, height]) {
    if (!this.fitted) return this.fit();
    const [wide, high] = this.#room();
    this.scale = Math.min((wide * 0.5) / width, (high * 0.5) / height, CLOSEST);
    this.left = wide / 2 - (x + width / 2) * this.scale;
    this.top = high / 2 - (y + height / 2) * this.scale;
    this.fitted = false;
    this.redraw();
  }

  /** Where only a part of the picture is in view, let it be the part with a segment. @param {number[]} bbox */
  reveal([x, y, width, height]) {
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
    this.redraw();
  }

  /** What is covered by a sheet is no room for the picture. @param {{right?: number, bottom?: number}} hidden */
  cover({ right = 0, bottom = 0 }) {
    if (this.hidden.right === right && this.hidden.bottom === bottom) return;
    this.hidden = { right, bottom };
    if (this.fitted) this.fit();
  }

  /** The segment under a point of the page. @param {number} clientX @param {number} clientY */
  segmentAt(clientX, clientY) {
    const box = this.element.getBoundingClientRect();
    if (!this.scene) return -1;
    return this.scene.grid.at(
      (clientX - box.left - this.left) / this.scale,
      (clientY - box.top - this.top) / this.scale,
    );
  }

  /** @param {number} segment */
  hover(segment) {
    if (segment === this.hovered) return;
    this.hovered = segment;
    this.redraw(false);
    this.dispatchEvent(new CustomEvent("hover", { detail: segment }));
  }

  /** @param {number} segment */
  open(segment) {
    this.dispatchEvent(new CustomEvent("open", { detail: segment }));
  }

  /** @param {boolean} [all] false: only what points segments out has changed */
  redraw(all = true) {
    this.stale ||= all;
    if (!this.frame) this.frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.frame = 0;
    const ratio = devicePixelRatio || 1;
    const view = { scale: this.scale * ratio, x: this.left * ratio, y: this.top * ratio };
    if (this.stale) this.#drawBase(view, ratio);
    this.stale = false;
    const context = this.#cleared(this.marks);
    if (!this.scene) return;
    const clear = this.changed.size ? null : this.photo; // what an edit changed is told by its labels
    if (this.selected >= 0) this.scene.mark(context, view, this.selected, "selected", ratio, clear);
    for (const segment of this.changed)
      if (segment !== this.selected) this.scene.mark(context, view, segment, "changed", ratio);
    if (this.active >= 0 && this.active !== this.selected) this.scene.mark(context, view, this.active, "active", ratio);
    if (this.hovered >= 0 && this.hovered !== this.selected)
      this.scene.mark(context, view, this.hovered, "hover", ratio);
  }

  /** @param {import("./scene.js").View} view @param {number} ratio */
  #drawBase(view, ratio) {
    const context = this.#cleared(this.base);
    if (!this.scene) return;
    const { width, height } = this.scene;
    if (this.photo) this.photo.draw(context, view.scale, view.x, view.y, width, height);
    const opacity = this.photo ? this.look.opacity : 1;
    this.scene.paint(context, view, this.before ?? this.scene.labelling, { ...this.look, opacity, ratio });
  }

  /** @param {HTMLCanvasElement} canvas */
  #cleared(canvas) {
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    return context;
  }

  #room() {
    return [
      Math.max(this.element.clientWidth - this.hidden.right, 64),
      Math.max(this.element.clientHeight - this.hidden.bottom, 64),
    ];
  }

  #keepInView() {
    if (!this.scene) return;
    const [width, height] = this.#room();
    const [wide, high] = [this.scene.width * this.scale, this.scene.height * this.scale];
    this.left = Math.min(Math.max(this.left, width * 0.4 - wide), width * 0.6);
    this.top = Math.min(Math.max(this.top, height * 0.4 - high), height * 0.6);
  }

  #resize() {
    const ratio = devicePixelRatio || 1;
    for (const canvas of [this.base, this.marks]) {
      canvas.width = Math.round(this.element.clientWidth * ratio);
      canvas.height = Math.round(this.element.clientHeight * ratio);
    }
    if (this.scene) this.scene.hatch = null;
    if (this.fitted) this.fit();
    else this.redraw();
    if (this.frame) cancelAnimationFrame(this.frame);
    this.stale = true;
    this.#draw(); // at once: a resized canvas is blank
  }
}
