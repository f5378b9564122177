/** The name of the segment under the pointer, beside it. */

import { h, percent, swatch } from "./dom.js";

/** @typedef {import("./types.js").Segment} Segment */

export class Tip {
  /** @param {HTMLElement} ground over which the pointer moves */
  constructor(ground) {
    this.ground = ground;
    this.element = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    ground.addEventListener("pointermove", (event) => this.#move(event));
  }

  /** @param {Segment|undefined} segment @param {string} color */
  show(segment, color) {
    this.element.hidden = !segment;
    if (!segment) return;
    const sure = h("span", { class: "fine" }, segment.known ? percent(segment.confidence) : "unknown");
    this.element.replaceChildren(swatch(color), segment.class_name, sure);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const box = this.ground.getBoundingClientRect();
    const x = Math.min(event.clientX - box.left + 14, box.width - this.element.offsetWidth - 8);
    const y = Math.max(event.clientY - box.top - 34, 4);
    this.element.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }
}
