/** The legend: every class of the picture, with its share of the area. */

import { h, icon, percent, swatch } from "./dom.js";

/** @typedef {import("./types.js").Answer} Answer */

/**
 * Announces "only" with the class that stands out in `detail`, null for none.
 */
export class Legend extends EventTarget {
  constructor() {
    super();
    this.list = h("ul", { class: "legend" });
    this.element = h(
      "section",
      { class: "block", "aria-labelledby": "legend-title" },
      h("h2", { id: "legend-title" }, "Legend"),
      this.list,
    );
    /** @type {number|null} the class that stays in view when the pointer leaves */
    this.pinned = null;
  }

  /** @param {Answer} answer */
  show(answer) {
    const total = answer.width * answer.height;
    /** @type {Map<number, number>} */
    const areas = new Map();
    let unknown = 0;
    for (const segment of answer.segments) {
      areas.set(segment.class_id, (areas.get(segment.class_id) ?? 0) + segment.area);
      if (!segment.known) unknown += segment.area;
    }
    if (this.pinned !== null && !areas.has(this.pinned)) this.#pin(null);
    const order = [...areas].sort((a, b) => b[1] - a[1]);
    const most = order.length ? order[0][1] : 1;
    const info = new Map(answer.classes.map((one) => [one.class_id, one]));
    const rows = order.map(([id, area]) =>
      this.#row(id, info.get(id)?.name ?? "?", info.get(id)?.color ?? "#888888", area / total, area / most),
    );
    const foreign =
      unknown / total > 0.5
        ? h(
            "li",
            {},
            h(
              "p",
              { class: "notice warn" },
              icon("alert"),
              h(
                "span",
                {},
                "This picture is unlike what the exemplars show. Its labels are guesses; correct some segments to teach what it is.",
              ),
            ),
          )
        : null;
    const note = unknown
      ? h(
          "li",
          { class: "legend-note" },
          swatch("transparent", true),
          `Hatched: unlike all exemplars, ${percent(unknown / total)} of the picture`,
        )
      : null;
    this.list.replaceChildren(...[...rows, note, foreign].filter((one) => one !== null));
  }

  /**
   * @param {number} id
   * @param {string} name
   * @param {string} color
   * @param {number} share of the picture
   * @param {number} length of the bar
   */
  #row(id, name, color, share, length) {
    const button = h(
      "button",
      {
        type: "button",
        class: "legend-row",
        "aria-pressed": String(this.pinned === id),
        title: `Show ${name} alone`,
        dataset: { class: id },
        on: {
          click: () => this.#pin(this.pinned === id ? null : id),
          pointerenter: () => this.#tell(id),
          pointerleave: () => this.#tell(this.pinned),
        },
      },
      swatch(color),
      h("span", { class: "name" }, name),
      h("span", { class: "meter", style: { "--v": length, "--c": color } }),
      h("span", { class: "figure" }, percent(share)),
    );
    return h("li", {}, button);
  }

  /** @param {number|null} id */
  #pin(id) {
    this.pinned = id;
    for (const row of this.list.querySelectorAll(".legend-row"))
      row.setAttribute("aria-pressed", String(Number(row.dataset.class) === id));
    this.#tell(id);
    this.dispatchEvent(new CustomEvent("pin", { detail: id }));
  }

  /** @param {number|null} id */
  #tell(id) {
    this.dispatchEvent(new CustomEvent("only", { detail: id }));
  }
}
