/** A note that labels are of an earlier state, and the way to the present ones. */

import { counted, h } from "./dom.js";

/** @typedef {import("./types.js").Answer} Answer */

export class Age {
  /** @param {() => void} renew */
  constructor(renew) {
    this.said = h("span", {});
    const button = h("button", { type: "button", class: "button small", on: { click: renew } }, "Label it anew");
    this.element = h("div", { class: "stage-age", hidden: true }, this.said, button);
  }

  /** @param {Answer} answer @param {number} present revision */
  show(answer, present) {
    const since = present - answer.index_revision;
    this.element.hidden = since <= 0;
    const are = since === 1 ? "is" : "are";
    this.said.textContent = `Labels of revision ${answer.index_revision}; there ${are} ${counted(since, "edit")} since.`;
  }

  hide() {
    this.element.hidden = true;
  }
}
