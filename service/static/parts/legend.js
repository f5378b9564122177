/** The legend: each class of the image, with its share of the area. */

import { h } from "../lib/dom.js";
import { Emitter } from "../lib/emitter.js";
import { swatch } from "../lib/elements.js";
import { percent } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { NO_CLASS, UNKNOWN_COLOR } from "../lib/classes.js";
import { nameOf } from "../lib/labels.js";

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
    const { areas, unknown } = areaShares(answer);
    if (this.pinned !== null && !areas.has(this.pinned)) this.#pin(null);
    const order = [...areas].sort((a, b) => b[1] - a[1]);
    const info = new Map(answer.classes.map((one) => [one.class_id, one]));
    this.buttons = new Map(
      order.map(([id, share]) => {
        const { name = nameOf(null), color = UNKNOWN_COLOR } = info.get(id) ?? {};
        return [id, this.#button(id, name, color, share, order[0][1])];
      }),
    );
    this.list.replaceChildren(...[...this.buttons.values()].map((one) => h("li", {}, one)), ...notes(unknown));
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
        title: `Show only ${name}`,
        on: {
          click: () => this.#pin(this.pinned === id ? null : id),
          pointerenter: () => this.emit("highlight", id),
          pointerleave: () => this.emit("highlight", this.pinned),
        },
      },
      swatch(color),
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

/** The share of each class in the image, and of unknown segments that have one; each 0..1. @param {Answer} answer */
function areaShares(answer) {
  const total = answer.width * answer.height;
  /** @type {Map<number, number>} */
  const areas = new Map();
  let unknown = 0;
  for (const { class_id, area, known } of answer.segments) {
    const id = class_id ?? NO_CLASS;
    areas.set(id, (areas.get(id) ?? 0) + area / total);
    if (!known && class_id !== null) unknown += area / total;
  }
  return { areas, unknown };
}

/** What the hatching means, where some is. @param {number} unknown share of the image, 0..1 */
function notes(unknown) {
  const list = [];
  if (unknown > 0)
    list.push(
      h(
        "li",
        { class: "legend-note" },
        swatch("transparent", true),
        `Hatched: unlike every exemplar (${percent(unknown)} of the image)`,
      ),
    );
  if (unknown > MOSTLY)
    list.push(
      h(
        "li",
        {},
        h(
          "p",
          { class: "notice warn" },
          icon("alert"),
          h(
            "span",
            {},
            "Most of this image is unlike the exemplars, so its labels are guesses. Correct some segments to teach the service.",
          ),
        ),
      ),
    );
  return list;
}
