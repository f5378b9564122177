/** Edits on the image page: the labels that they change, and the card that lists the changes. */

import * as api from "../lib/api.js";
import { h } from "../lib/dom.js";
import { counted } from "../lib/format.js";
import { shownChanges } from "../lib/labels.js";
import { editResult } from "../parts/edit_result.js";

/** @typedef {import("../lib/types.js").Answer} Answer */
/** @typedef {import("../lib/types.js").Edit} Edit */
/** @typedef {import("../lib/types.js").LabelChange} LabelChange */
/** @typedef {import("../lib/types.js").RelabelledAnswer} RelabelledAnswer */
/** @typedef {import("./image_page.js").ImagePage} ImagePage */

export class ImageEdits {
  /** @param {ImagePage} page */
  constructor(page) {
    this.page = page;
    this.element = h("div"); // the result of the last edit
    /** @type {Set<string>} answers with the segments that are shown, before and after edits */
    this.sameImage = new Set();
    this.outdated = false; // whether edits were made while another page was shown
  }

  connect() {
    this.page.context.edits.on("edited", ({ edit, relabelled }) => this.#edited(edit, relabelled));
  }

  /** Another answer is shown. @param {Answer} answer */
  begin(answer) {
    this.element.replaceChildren();
    this.sameImage = new Set([answer.segmentation_id]);
    this.outdated = false;
  }

  /** Do not show any more what the last edit changed. */
  clear() {
    this.element.replaceChildren();
    this.page.image.clearChanges();
  }

  /** Label the image with the exemplars of now. @param {Edit|null} edit null: edits that were made elsewhere */
  async update(edit = null) {
    const { answer, context } = this.page;
    if (!answer) return;
    this.outdated = false;
    try {
      this.#relabel(await api.relabel(answer.segmentation_id), edit);
    } catch (error) {
      context.showProblem(error);
    }
  }

  /** @param {Edit|null} edit null: nothing had to change @param {RelabelledAnswer|null} relabelled */
  async #edited(edit, relabelled) {
    const { page } = this;
    if (!page.answer) return;
    if (!edit && page.selected >= 0) page.open(page.selected);
    else if (page.element.hidden) this.outdated = true;
    else if (relabelled && this.sameImage.has(relabelled.relabelled_from)) this.#relabel(relabelled, edit);
    else await this.update(edit);
  }

  /** Show new labels. @param {RelabelledAnswer} answer @param {Edit|null} edit null: edits that were made elsewhere */
  #relabel(answer, edit) {
    const { page } = this;
    const before = page.answer;
    if (!before) return;
    const changed = shownChanges(before, answer);
    this.sameImage.add(answer.segmentation_id);
    page.relabel(answer, changed);
    if (edit) this.#show(edit, changed);
    else
      page.context.notify(
        changed.length
          ? `${counted(changed.length, "label")} changed; the segments have a dashed outline`
          : "No label of this image changed",
      );
    page.recent.refresh();
  }

  /** @param {Edit} edit @param {LabelChange[]} changed */
  #show(edit, changed) {
    const { page } = this;
    const { context } = page;
    const card = editResult(edit, changed, {
      colorOf: (name) => context.classes.colorOf(name),
      open: (id) => page.openById(id),
      compare: (before) => page.image.compare(before),
      announce: (text) => page.announce(text),
      isShown: (id, image) => this.sameImage.has(id) || (image !== null && image === page.answer?.image_id),
      undo: context.session.mayEdit ? () => context.revert(edit) : null,
      close: () => this.clear(),
    });
    this.element.replaceChildren(card);
  }
}
