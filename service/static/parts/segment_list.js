/** The segments as a list, for the keyboard and for screen readers. */

import { NO_CLASS, UNKNOWN_COLOR } from "../lib/classes.js";
import { h } from "../lib/dom.js";
import { Emitter } from "../lib/emitter.js";
import { swatch } from "../lib/elements.js";
import { percent } from "../lib/format.js";
import { nameOf, sureness } from "../lib/labels.js";

/** @typedef {import("../lib/types.js").Answer} Answer */
/** @typedef {import("../lib/types.js").Segment} Segment */

const ORDERS = /** @type {Record<string, (a: Segment, b: Segment) => number>} */ ({
  confidence: (a, b) =>
    Number(a.known) - Number(b.known) || (a.confidence ?? 0) - (b.confidence ?? 0) || b.area - a.area,
  area: (a, b) => b.area - a.area,
  class: (a, b) => nameOf(a.class_name).localeCompare(nameOf(b.class_name)) || b.area - a.area,
});
const PAGE = 10; // rows that PageDown goes

/**
 * Segments are named by their index in the answer. Emits "active" with the segment to highlight (-1: none), and
 * "open" with the segment to explain.
 * @extends {Emitter<{active: number, open: number}>}
 */
export class SegmentList extends Emitter {
  constructor() {
    super();
    this.sort = h(
      "select",
      { class: "small", id: "segment-order", on: { change: () => this.#render() } },
      h("option", { value: "confidence" }, "Least confident"),
      h("option", { value: "area" }, "Largest"),
      h("option", { value: "class" }, "Class"),
    );
    this.uncalibrated = h("p", { class: "fine", hidden: true }, "Confidence: not calibrated yet");
    this.title = h("h2", { id: "segments-title" }, "Segments");
    this.list = h("ul", { class: "segments", role: "listbox", tabIndex: 0, "aria-labelledby": "segments-title" });
    this.element = h(
      "section",
      { class: "block grow" },
      h(
        "div",
        { class: "block-head" },
        this.title,
        h("label", { class: "labelled", htmlFor: "segment-order" }, "Sort by", this.sort),
      ),
      this.uncalibrated,
      h(
        "p",
        { class: "list-head fine", "aria-hidden": "true" },
        h("span", {}, "area"),
        h("span", { class: "sure" }, "confidence"),
      ),
      this.list,
    );
    this.list.addEventListener("keydown", (event) => this.#key(event));
    this.list.addEventListener("focus", () => this.active < 0 && this.activate(this.order[0] ?? -1));
    /** @type {Answer|null} */
    this.answer = null;
    /** @type {number|null} the class that is listed alone */
    this.only = null;
    /** @type {number[]} indices of the segments, as listed */
    this.order = [];
    this.active = -1;
  }

  /** @param {Answer} answer */
  show(answer) {
    this.answer = answer;
    this.#render();
  }

  /** List one class alone. @param {number|null} classId null: all */
  filter(classId) {
    this.only = classId;
    this.#render();
  }

  /** Highlight a row. @param {number} index -1: none @param {boolean} [emit] whether to emit "active" */
  activate(index, emit = true) {
    this.list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
    this.active = index;
    const row = index < 0 ? null : document.getElementById(`segment-${index}`);
    if (row) {
      row.setAttribute("aria-selected", "true");
      this.list.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    } else this.list.removeAttribute("aria-activedescendant");
    if (emit) this.emit("active", index);
  }

  /** The segment some rows further; after the last comes the first. @param {number} index @param {number} rows */
  neighbour(index, rows) {
    const at = this.order.indexOf(index);
    return this.order[(at + rows + this.order.length) % this.order.length] ?? -1;
  }

  #render() {
    const { answer, only } = this;
    if (!answer) return;
    const compare = ORDERS[this.sort.value];
    this.order = answer.segments
      .map((_, index) => index)
      .filter((index) => only === null || (answer.segments[index].class_id ?? NO_CLASS) === only)
      .sort((a, b) => compare(answer.segments[a], answer.segments[b]));
    this.title.textContent = `Segments (${this.order.length})`;
    const measured = answer.segments.some((one) => one.confidence !== null);
    this.element.classList.toggle("unmeasured", !measured);
    this.uncalibrated.hidden = measured || answer.segments.every((one) => one.class_id === null);
    const colors = new Map(answer.classes.map((info) => [info.class_id, info.color]));
    const pixels = answer.width * answer.height;
    this.list.replaceChildren(
      ...this.order.map((index) => {
        const segment = answer.segments[index];
        return this.#row(segment, index, colors.get(segment.class_id ?? NO_CLASS) ?? UNKNOWN_COLOR, pixels);
      }),
    );
    this.activate(this.order.includes(this.active) ? this.active : -1, false);
  }

  /** @param {Segment} segment @param {number} index @param {string} color @param {number} pixels of the image */
  #row(segment, index, color, pixels) {
    const { class_name: name, known, confidence } = segment;
    const isGuess = !known && name !== null;
    return h(
      "li",
      {
        id: `segment-${index}`,
        class: "segment-row",
        role: "option",
        "aria-selected": "false",
        on: {
          pointerenter: () => this.emit("active", index),
          pointerleave: () => this.emit("active", -1),
          click: () => this.emit("open", index),
        },
      },
      swatch(color, isGuess),
      h("span", { class: "name" }, isGuess ? h("span", { class: "fine" }, "nearest: ") : null, nameOf(name)),
      isGuess ? h("span", { class: "tag warn" }, "unknown") : null,
      h("span", { class: "figure", title: "share of the image" }, percent(segment.area / pixels)),
      known && confidence !== null
        ? h("span", { class: "figure sure", title: "confidence", "aria-label": sureness(segment) }, percent(confidence))
        : null,
    );
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const last = this.order.length - 1;
    const at = this.order.indexOf(this.active);
    const target = /** @type {Record<string, number|undefined>} */ ({
      ArrowDown: Math.min(at + 1, last),
      ArrowUp: Math.max(at - 1, 0),
      PageDown: Math.min(at + PAGE, last),
      PageUp: Math.max(at - PAGE, 0),
      Home: 0,
      End: last,
    })[event.key];
    if (target !== undefined) this.activate(this.order[target] ?? -1);
    else if ((event.key === "Enter" || event.key === " ") && at >= 0) this.emit("open", this.active);
    else return;
    event.preventDefault();
  }
}
