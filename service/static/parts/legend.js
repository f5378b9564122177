/** The legend: each class of the image and what is unknown, each with its share of the area. */

import { h } from "../lib/dom.js";
import { Emitter } from "../lib/emitter.js";
import { swatch } from "../lib/elements.js";
import { percent } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { NO_CLASS, UNKNOWN_COLOR } from "../lib/classes.js";
import { nameOf, shownClass } from "../lib/labels.js";

/** @typedef {import("../lib/types.js").Answer} Answer */

const MOSTLY = 0.5; // share of unknown area from which on the image gets a warning

/**
 * Emits "highlight" with the class to highlight and "filter" with the class to list alone; null for all.
 * @extends {Emitter<{highlight: number|null, filter: number|null}>}
 */
export class Legend extends Emitter {
  constructor() {
    super();
    this.list = h("ul", { class: "legend" });
    this.element = h(
      "section",
      { class: "block", "aria-labelledby": "legend-title" },
      h("h2", { id: "legend-title" }, "Classes"),
      this.list,
    );
    /** @type {Map<number, HTMLButtonElement>} by class */
    this.buttons = new Map();
    /** @type {number|null} the class that stays highlighted when the pointer leaves */
    this.pinned = null;
  }

  /** @param {Answer} answer */
  show(answer) {
    const areas = areaShares(answer);
    if (this.pinned !== null && !areas.has(this.pinned)) this.#pin(null);
    const largest = Math.max(...areas.values());
    const order = [...areas].sort(([a, share], [b, other]) => Number(a === NO_CLASS) - Number(b === NO_CLASS) || other - share);
    const info = new Map(answer.classes.map((one) => [one.class_id, one]));
    this.buttons = new Map(
      order.map(([id, share]) => {
        const { name = nameOf(null), color = UNKNOWN_COLOR } = info.get(id) ?? {};
        return [id, this.#button(id, name, color, share, largest)];
      }),
    );
    const rows = [...this.buttons.values()].map((one) => h("li", {}, one));
    this.list.replaceChildren(...rows, ...warning(areas.get(NO_CLASS) ?? 0));
  }

  /**
   * @param {number} id
   * @param {string} name
   * @param {string} color
   * @param {number} share of the image, 0..1
   * @param {number} largest share of any class, which has a full bar
   */
  #button(id, name, color, share, largest) {
    return h(
      "button",
      {
        type: "button",
        class: "legend-row",
        "aria-pressed": String(this.pinned === id),
        title: id === NO_CLASS ? "Show only what is unlike every exemplar" : `Show only ${name}`,
        on: {
          click: () => this.#pin(this.pinned === id ? null : id),
          pointerenter: () => this.emit("highlight", id),
          pointerleave: () => this.emit("highlight", this.pinned),
        },
      },
      swatch(color, id === NO_CLASS),
      h("span", { class: "name" }, name),
      h("span", { class: "meter", style: { "--v": share / largest, "--c": color } }),
      h("span", { class: "figure" }, percent(share)),
    );
  }

  /** @param {number|null} id */
  #pin(id) {
    this.pinned = id;
    for (const [classId, button] of this.buttons) button.setAttribute("aria-pressed", String(classId === id));
    this.emit("highlight", id);
    this.emit("filter", id);
  }
}

/** The share of each class in the image, 0..1; NO_CLASS: of unknown segments. @param {Answer} answer */
function areaShares(answer) {
  const total = answer.width * answer.height;
  /** @type {Map<number, number>} */
  const areas = new Map();
  for (const segment of answer.segments) {
    const id = shownClass(segment) ?? NO_CLASS;
    areas.set(id, (areas.get(id) ?? 0) + segment.area / total);
  }
  return areas;
}

/** What to do if most of the image is unknown. @param {number} unknown share of the image, 0..1 */
function warning(unknown) {
  if (unknown <= MOSTLY) return [];
  const text =
    "Most of this image is unlike the exemplars, so it has no labels there. Name some of its segments to teach the service.";
  return [h("li", {}, h("p", { class: "notice warn" }, icon("alert"), h("span", {}, text)))];
}
