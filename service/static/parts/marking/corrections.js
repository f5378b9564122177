/** Corrections of the open segment: where they count, and whether they join the draft. */

import { h } from "../../lib/dom.js";
import { scopeSwitch } from "./mark_bar.js";

/** @typedef {import("../../lib/api.js").ClassChoice} ClassChoice */
/** @typedef {import("./marking.js").Marking} Marking */

export class CorrectionChoice {
  /** @param {Marking} marking */
  constructor(marking) {
    this.marking = marking;
  }

  /**
   * Correct a segment at once; while there are marks, the correction joins them.
   * @param {string} segmentId
   * @param {ClassChoice} choice
   * @returns {Promise<boolean>} whether an edit was made
   */
  correct = async (segmentId, choice) => {
    const { marking } = this;
    const { answer, scope, context } = marking;
    if (marking.draft.marks.length) {
      this.#join(segmentId, choice);
      return false;
    }
    if (scope === "all" || !answer) await context.edits.label(segmentId, choice);
    else await context.edits.mark(answer.segmentation_id, { labels: [{ segment_id: segmentId, ...choice }], scope });
    return true;
  };

  /** The choice of the images in which the correction counts. */
  options = () => {
    const { marking } = this;
    const choice = scopeSwitch((scope) => {
      marking.setScope(scope);
      choice.show(scope);
    });
    choice.show(marking.scope);
    const note = marking.draft.marks.length
      ? h("p", { class: "fine" }, "The correction joins your marks, which are not applied yet.")
      : null;
    return h("div", { class: "correction-options" }, choice.element, note);
  };

  /** @param {string} segmentId @param {ClassChoice} choice */
  #join(segmentId, choice) {
    const { marking } = this;
    const { palette } = marking;
    const segment = marking.answer?.segments.find((one) => one.segment_id === segmentId);
    const of =
      "class_id" in choice
        ? palette.classes.find((one) => one.class_id === choice.class_id)
        : palette.named(choice.class_name);
    if (segment && of) marking.add({ kind: "segment", segment, of });
  }
}
