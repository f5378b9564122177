/** The label of the segment under the pointer, shown beside the pointer. */

import { h } from "../lib/dom.js";
import { swatch } from "../lib/elements.js";
import { nameOf, shownLabel, sureness } from "../lib/labels.js";

/** @typedef {import("../lib/types.js").Segment} Segment */

export class Tooltip {
  /** @param {HTMLElement} area that the pointer moves over */
  constructor(area) {
    this.area = area;
    this.element = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    area.addEventListener("pointermove", (event) => this.#move(event));
  }

  /** @param {Segment|undefined} segment undefined hides the tooltip @param {string} color */
  show(segment, color) {
    this.element.hidden = !segment;
    if (!segment) return;
    const { class_name: name, known } = segment;
    const note = known ? sureness(segment) : name === null ? "" : `nearest: ${name}`;
    this.element.replaceChildren(
      swatch(color, !known),
      nameOf(shownLabel(segment)),
      note ? h("span", { class: "fine" }, note) : "",
    );
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const box = this.area.getBoundingClientRect();
    const x = Math.min(event.clientX - box.left + 14, box.width - this.element.offsetWidth - 8);
    const y = Math.max(event.clientY - box.top - 34, 4);
    this.element.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }
}
