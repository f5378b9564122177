/** The notice that edits were made after an image was labelled. */

import { button, h } from "../lib/dom.js";
import { counted } from "../lib/format.js";

/** @typedef {import("../lib/types.js").Answer} Answer */

export class OutdatedNotice {
  /** @param {() => void} update called to label the image again */
  constructor(update) {
    this.text = h("span");
    this.element = h(
      "div",
      { class: "canvas-outdated", role: "status", hidden: true },
      this.text,
      button({ class: "small", on: { click: update } }, "Update labels"),
    );
  }

  /** Show the notice if edits were made since. @param {Answer} answer @param {number} newest number of the newest edit */
  show(answer, newest) {
    const since = newest - answer.index_revision;
    this.element.hidden = since <= 0;
    this.text.textContent = `${counted(since, "edit")} made since this image was labelled.`;
  }

  hide() {
    this.element.hidden = true;
  }
}
