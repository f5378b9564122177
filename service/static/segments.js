/** The segments as a list: the picture for those who use the keyboard or a screen reader. */

import { h, percent, swatch } from "./dom.js";

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Segment} Segment */

const ORDERS = /** @type {Record<string, (a: Segment, b: Segment) => number>} */ ({
  sure: (a, b) => Number(a.known) - Number(b.known) || a.confidence - b.confidence,
  area: (a, b) => b.area - a.area,
  class: (a, b) => a.class_name.localeCompare(b.class_name) || b.area - a.area,
});

/**
 * Announces "active" and "open" with a segment's place in `detail`.
 */
export class SegmentList extends EventTarget {
  constructor() {
    super();
    this.sort = h(
      "select",
      { class: "small", "aria-label": "Order of the segments", on: { change: () => this.#render() } },
      h("option", { value: "sure" }, "Least sure first"),
      h("option", { value: "area" }, "Largest first"),
      h("option", { value: "class" }, "By class"),
    );
    this.title = h("h2", { id: "segments-title" }, "Segments");
    this.list = h("ul", { class: "segments", role: "listbox", tabIndex: 0, "aria-labelledby": "segments-title" });
    this.element = h(
      "section",
      { class: "block grow" },
      h("div", { class: "block-head" }, this.title, this.sort),
      this.list,
    );
    this.list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
    this.list.addEventListener("focus", () => this.active < 0 && this.activate(this.order[0] ?? -1));
    /** @type {Answer|null} */
    this.answer = null;
    /** @type {number|null} */
    this.only = null;
    /** @type {number[]} places of the segments, as listed */
    this.order = [];
    this.active = -1;
  }

  /** @param {Answer} answer */
  show(answer) {
    this.answer = answer;
    this.#render();
  }

  /** List one class alone. @param {number|null} id */
  filter(id) {
    this.only = id;
    this.#render();
  }

  /** @param {number} place -1: none @param {boolean} [tell] */
  activate(place, tell = true) {
    this.list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
    this.active = place;
    const row = place < 0 ? null : document.getElementById(`segment-${place}`);
    if (row) {
      row.setAttribute("aria-selected", "true");
      this.list.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    } else this.list.removeAttribute("aria-activedescendant");
    if (tell) this.dispatchEvent(new CustomEvent("active", { detail: place }));
  }

  /** The segment that is so many rows further, around the ends. @param {number} place @param {number} rows */
  neighbour(place, rows) {
    const at = this.order.indexOf(place);
    return this.order[(at + rows + this.order.length) % this.order.length] ?? -1;
  }

  #render() {
    const { answer } = this;
    if (!answer) return;
    const compare = ORDERS[this.sort.value];
    const places = answer.segments
      .map((_, place) => place)
      .filter((place) => this.only === null || answer.segments[place].class_id === this.only);
    this.order = places.sort((a, b) => compare(answer.segments[a], answer.segments[b]));
    this.title.textContent = `Segments (${this.order.length})`;
    const colors = new Map(answer.classes.map((info) => [info.class_id, info.color]));
    const total = answer.width * answer.height;
    this.list.replaceChildren(
      ...this.order.map((place) =>
        this.#row(answer.segments[place], place, colors.get(answer.segments[place].class_id) ?? "#888888", total),
      ),
    );
    this.activate(this.order.includes(this.active) ? this.active : -1, false);
  }

  /** @param {Segment} segment @param {number} place @param {string} color @param {number} total */
  #row(segment, place, color, total) {
    const known = segment.known ? null : h("span", { class: "tag warn" }, "unknown");
    return h(
      "li",
      {
        id: `segment-${place}`,
        class: "segment-row",
        role: "option",
        "aria-selected": "false",
        on: {
          pointerenter: () => this.dispatchEvent(new CustomEvent("active", { detail: place })),
          pointerleave: () => this.dispatchEvent(new CustomEvent("active", { detail: -1 })),
          click: () => this.dispatchEvent(new CustomEvent("open", { detail: place })),
        },
      },
      swatch(color, !segment.known),
      h("span", { class: "name" }, segment.class_name),
      known,
      h("span", { class: "figure", title: "share of the picture" }, percent(segment.area / total)),
      h(
        "span",
        { class: "figure sure", title: "confidence", "aria-label": `${percent(segment.confidence)} sure` },
        percent(segment.confidence),
      ),
    );
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const last = this.order.length - 1;
    const at = this.order.indexOf(this.active);
    const to = {
      ArrowDown: Math.min(at + 1, last),
      ArrowUp: Math.max(at - 1, 0),
      PageDown: Math.min(at + 10, last),
      PageUp: Math.max(at - 10, 0),
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined) this.activate(this.order[to] ?? -1);
    else if ((event.key === "Enter" || event.key === " ") && at >= 0)
      this.dispatchEvent(new CustomEvent("open", { detail: this.active }));
    else return;
    event.preventDefault();
  }
}
