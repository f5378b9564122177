/** The image area: the image with its labels, and the notes over it. */

import { h } from "../lib/dom.js";
import { SegmentationDrawing } from "../lib/segmentation_drawing.js";
import { ImageView } from "./image_view.js";
import { OutdatedNotice } from "./outdated_notice.js";
import { Tooltip } from "./tooltip.js";

/** @typedef {import("../lib/photo.js").Photo} Photo */
/** @typedef {import("../lib/types.js").Answer} Answer */
/** @typedef {import("../lib/types.js").LabelChange} LabelChange */
/** @typedef {import("../lib/types.js").RelabelledAnswer} RelabelledAnswer */
/** @typedef {import("../lib/types.js").Segment} Segment */

export class LabelledImage {
  /** @param {{colorOf: (name: string|null) => string, update: () => void}} actions update: label the image again */
  constructor({ colorOf, update }) {
    this.colorOf = colorOf;
    this.view = new ImageView();
    this.tooltip = new Tooltip(this.view.element);
    this.outdated = new OutdatedNotice(update);
    this.beforeFlag = h("div", { class: "canvas-flag", hidden: true }, "Labels before the edit");
    this.noImage = h(
      "p",
      { class: "canvas-note", hidden: true },
      "The image cannot be shown: it is not stored, or the browser does not support its format.",
    );
    this.element = h(
      "div",
      { class: "canvas-area" },
      this.view.element,
      this.tooltip.element,
      this.beforeFlag,
      this.noImage,
      this.outdated.element,
    );
    /** @type {SegmentationDrawing|null} */
    this.drawing = null;
    /** @type {import("../lib/segmentation_drawing.js").Labelling|null} before the last edit */
    this.previous = null;
    /** @type {Photo|null} */
    this.photo = null;
  }

  /** Show an image whose labels are not known yet. @param {Photo} photo */
  preview(photo) {
    this.view.show(SegmentationDrawing.empty(photo.full.width, photo.full.height), photo);
  }

  /** @param {Answer} answer @param {Photo|null} photo null where the image cannot be shown */
  show(answer, photo) {
    if (this.photo !== photo) this.photo?.close();
    this.photo = photo;
    this.previous = null;
    this.drawing = new SegmentationDrawing(answer);
    this.view.show(this.drawing, photo);
    this.outdated.hide();
    this.noImage.hidden = photo !== null;
  }

  /**
   * Show new labels of the same segments.
   * @param {RelabelledAnswer} answer
   * @param {LabelChange[]} changed the changes to highlight
   * @returns {boolean} false: its segments are others
   */
  relabel(answer, changed) {
    if (!this.drawing?.hasSegmentsOf(answer)) return false;
    const indices = new Map(answer.segments.map((one, index) => [one.segment_id, index]));
    this.outdated.hide();
    this.hover(undefined);
    this.previous = this.drawing.labelling;
    this.drawing.labelling = this.drawing.labellingOf(answer);
    this.view.changed = new Set(changed.map((one) => indices.get(one.segment_id) ?? -1));
    this.compare(false);
    return true;
  }

  /** Show the labels before the last edit, or the current ones. @param {boolean} before */
  compare(before) {
    this.view.previous = before ? this.previous : null;
    this.beforeFlag.hidden = !this.view.previous;
    this.view.redraw();
  }

  /** Do not highlight any more what the last edit changed. */
  clearChanges() {
    this.view.changed = new Set();
    this.compare(false);
  }

  /** Name a segment beside the pointer. @param {Segment|undefined} segment */
  hover(segment) {
    this.tooltip.show(segment, segment ? this.colorOf(segment.class_name) : "");
  }

  /** Select a segment. @param {number} index -1: none */
  select(index) {
    this.view.selected = index;
    this.view.active = -1;
    this.view.redraw(false);
  }
}
