/** The segments as a list, for the keyboard and for screen readers. */

import { NO_CLASS, UNKNOWN_COLOR } from "../lib/classes.js";
import { h } from "../lib/dom.js";
import { Emitter } from "../lib/emitter.js";
import { swatch } from "../lib/elements.js";
import { percent } from "../lib/format.js";
import { nameOf, shownClass, shownLabel, sureness } from "../lib/labels.js";

/** @typedef {import("../lib/types.js").Answer} Answer */
/** @typedef {import("../lib/types.js").Segment} Segment */

const ORDERS = /** @type {Record<string, (a: Segment, b: Segment) => number>} */ ({
  // Unknown segments have no confidence: the largest is the first to name. Equal confidences: the closer vote first.
  confidence: (a, b) =>
    Number(a.known) - Number(b.known) ||
    (a.known ? (a.confidence ?? 0) - (b.confidence ?? 0) || (a.margin ?? 0) - (b.margin ?? 0) : 0) ||
    b.area - a.area,
  area: (a, b) => b.area - a.area,
  class: (a, b) => labelled(a).localeCompare(labelled(b)) || b.area - a.area,
});
const labelled = (/** @type {Segment} */ segment) => nameOf(shownLabel(segment));
const MARGIN = "How far the class is ahead in the vote: its share minus the share of the second class";
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
        h("span", { class: "figure", title: "Share of the image" }, "Area"),
        h("span", { class: "name" }, "Label"),
        h("span", { class: "figure margin", title: MARGIN }, "Margin"),
        h("span", { class: "figure sure", title: "How likely the label is right" }, "Confidence"),
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
      .filter((index) => only === null || (shownClass(answer.segments[index]) ?? NO_CLASS) === only)
      .sort((a, b) => compare(answer.segments[a], answer.segments[b]));
    this.title.textContent = `Segments (${this.order.length})`;
    const measured = answer.segments.some((one) => one.confidence !== null);
    const uncalibrated = !measured && answer.segments.some((one) => one.known);
    this.element.classList.toggle("unmeasured", uncalibrated);
    this.uncalibrated.hidden = !uncalibrated;
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
    const { class_name: name, known, confidence, share, margin } = segment;
    const figure = (/** @type {string} */ kind, /** @type {string} */ title, /** @type {string} */ text) =>
      h("span", { class: `figure ${kind}`, title, "aria-label": `${title}: ${text}` }, text);
    const voted = share !== null && margin !== null;
    return h(
      "li",
      {
        id: `segment-${index}`,
        class: `segment-row${known ? "" : " unknown"}`,
        role: "option",
        "aria-selected": "false",
        on: {
          pointerenter: () => this.emit("active", index),
          pointerleave: () => this.emit("active", -1),
          click: () => this.emit("open", index),
        },
      },
      swatch(color, !known),
      figure("", "area", percent(segment.area / pixels)),
      h(
        "span",
        { class: "name" },
        nameOf(shownLabel(segment)),
        known || name === null ? null : h("span", { class: "nearest fine" }, ` nearest: ${name}`),
      ),
      known && voted ? figure("margin", `${percent(share)} of the vote, ahead by`, percent(margin)) : null,
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
