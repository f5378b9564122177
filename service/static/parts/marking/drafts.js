/** The drafts of all images of this visit. */

import { Draft } from "./draft.js";
import { distinctClasses } from "./marks.js";

/** @typedef {import("../../lib/types.js").Answer} Answer */
/** @typedef {import("../../lib/types.js").OfferedClass} OfferedClass */
/** @typedef {import("./marks.js").MarkClass} MarkClass */

/** What the answers of an image have in common. @param {Answer} answer */
export const imageOf = (answer) => answer.image_id ?? answer.segmentation_id;

export class Drafts {
  /** @param {(draft: Draft) => void} changed called when a draft has changed */
  constructor(changed) {
    this.changed = changed;
    /** @type {Map<string, Draft>} by image */
    this.byImage = new Map();
  }

  /** All marks that are not applied. */
  get marks() {
    return [...this.byImage.values()].flatMap((draft) => draft.all);
  }

  /** The draft of an answer's image. @param {Answer} answer */
  of(answer) {
    const known = this.byImage.get(imageOf(answer));
    if (known) return known;
    const draft = new Draft();
    draft.on("changed", () => this.changed(draft));
    this.byImage.set(imageOf(answer), draft);
    return draft;
  }

  /**
   * The classes of the service, then those that only marks name.
   * @param {OfferedClass[]} offered
   * @param {MarkClass[]} others
   * @returns {MarkClass[]}
   */
  classes(offered, others) {
    const names = new Set(offered.map((one) => one.name.toLowerCase()));
    const added = distinctClasses([...this.marks.map((mark) => mark.of), ...others]).filter((one) => !names.has(one.name.toLowerCase()));
    return [
      ...offered.map(({ class_id, name, color }) => ({ class_id, name, color })),
      ...added.map(({ name, color }) => ({ class_id: null, name, color })),
    ];
  }
}
