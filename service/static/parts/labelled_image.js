/** The image area: the image with its labels, and the notes over it. */

import { h } from "../lib/dom.js";
import { haveSameSegments } from "../lib/run_lengths.js";
import { SegmentationDrawing } from "../lib/segmentation_drawing.js";
import { outlineOfChanged } from "./changed_outline.js";
import { ImageView } from "./image_view.js";
import { OutdatedNotice } from "./outdated_notice.js";
import { Tooltip } from "./tooltip.js";

/** @typedef {import("../lib/photo.js").Photo} Photo */
/** @typedef {import("../lib/types.js").Answer} Answer */
/** @typedef {import("../lib/types.js").LabelChange} LabelChange */
/** @typedef {import("../lib/types.js").Segment} Segment */

export class LabelledImage {
  /** @param {{colorOf: (name: string|null) => string, update: () => void}} actions update: label the image again */
  constructor({ colorOf, update }) {
    this.colorOf = colorOf;
    this.view = new ImageView();
    this.tooltip = new Tooltip(this.view.element);
    this.outdated = new OutdatedNotice(update);
    this.beforeFlag = h("div", { class: "canvas-flag", hidden: true }, "Labels before the edit");
    this.note = h("p", { class: "canvas-note", hidden: true });
    this.element = h(
      "div",
      { class: "canvas-area" },
      this.view.element,
      this.tooltip.element,
      this.beforeFlag,
      this.note,
      this.outdated.element,
    );
    /** @type {SegmentationDrawing|null} */
    this.drawing = null;
    /** @type {import("../lib/segmentation_drawing.js").Labelling|null} before the last edit */
    this.previous = null;
    /** @type {Answer|null} the answer before the last edit, if it has the segments of now */
    this.before = null;
    /** @type {Photo|null} */
    this.photo = null;
    /** @type {Answer|null} that is drawn */
    this.answer = null;
    /** @type {Answer|null} that is shown for a time instead of `answer` */
    this.previewed = null;
  }

  /** Show an image whose labels are not known yet. @param {Photo|null} photo null where the browser cannot show it */
  preview(photo) {
    this.note.hidden = true;
    this.view.show(SegmentationDrawing.empty(photo?.width ?? 4, photo?.height ?? 3), photo);
  }

  /** @param {Answer} answer @param {Photo|null} photo null where the image cannot be shown */
  show(answer, photo) {
    if (this.photo !== photo) this.photo?.close();
    this.photo = photo;
    this.previous = null;
    this.answer = answer;
    this.previewed = null;
    this.drawing = new SegmentationDrawing(answer);
    this.view.show(this.drawing, photo);
    this.outdated.hide();
    this.note.textContent = noteOf(answer, photo);
    this.note.hidden = !this.note.textContent;
  }

  /**
   * Show new labels of the same image. Strokes may have split its segments.
   * @param {Answer} answer
   * @param {LabelChange[]} changed the changes to highlight
   */
  relabel(answer, changed) {
    const { answer: before, drawing } = this;
    if (!before || !drawing) return;
    this.previewed = null;
    this.view.showPreview(null);
    this.outdated.hide();
    this.hover(undefined);
    this.previous = drawing.labelling;
    this.before = haveSameSegments(before, answer) ? before : null;
    this.answer = answer;
    if (haveSameSegments(before, answer)) drawing.labelling = drawing.labellingOf(answer);
    else this.view.replace((this.drawing = new SegmentationDrawing(answer)));
    const indices = indicesOf(changed, answer);
    this.view.showChanged(indices, indices.size ? outlineOfChanged(this.drawing ?? drawing, answer.segments, indices) : null);
    this.compare(false);
  }

  /** Show the labels before the last edit, or the current ones. @param {boolean} before */
  compare(before) {
    this.view.previous = before ? this.previous : null;
    this.beforeFlag.hidden = !this.view.previous;
    this.view.redraw();
  }

  /** Do not highlight any more what the last edit changed. */
  clearChanges() {
    this.view.showChanged(new Set(), null);
    this.compare(false);
  }

  /**
   * Show the labels that marks would give; `answer` stays the one that is labelled.
   * @param {Answer|null} answer null: the labels of now
   * @param {LabelChange[]} [changed] the changes to highlight
   */
  showPreview(answer, changed = []) {
    if (answer === this.previewed) return;
    this.previewed = answer;
    if (!answer) return this.view.showPreview(null);
    const drawing = new SegmentationDrawing(answer);
    const outline = outlineOfChanged(drawing, answer.segments, indicesOf(changed, answer));
    this.view.showPreview({ drawing, changed: outline });
  }

  /** Name the segment under the pointer. @param {number} index in the labels that are shown; -1: none */
  hoverAt(index) {
    const before = this.view.previous ? this.before : null;
    this.hover((this.previewed ?? before ?? this.answer)?.segments[index]);
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

/** What a person must know about the image that is shown. @param {Answer} answer @param {Photo|null} photo */
function noteOf(answer, photo) {
  if (!photo) return "Only the labels are shown: the image is not stored any more.";
  if (!photo.rendered) return answer.conversion ? `Brightness changed to segment it: ${answer.conversion}` : "";
  const { conversion } = answer;
  return `Your browser cannot show this file. You see a copy made by the service${conversion ? `: ${conversion}` : "."}`;
}

/** The segments of changes, as indices in an answer. @param {LabelChange[]} changed @param {Answer} answer */
function indicesOf(changed, answer) {
  const indices = new Map(answer.segments.map((one, index) => [one.segment_id, index]));
  return new Set(changed.map((one) => indices.get(one.segment_id) ?? -1));
}
