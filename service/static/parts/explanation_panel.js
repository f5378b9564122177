/** The panel that explains the open segment. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { iconButton, skeleton } from "../lib/elements.js";
import { Emitter } from "../lib/emitter.js";
import { describe } from "../lib/http.js";
import { icon } from "../lib/icons.js";
import { labelOf, sureness } from "../lib/labels.js";
import { explanationContent } from "./explanation.js";

/** @typedef {import("../lib/types.js").Segment} Segment */
/** @typedef {import("./context.js").Context} Context */
/**
 * @typedef {object} ShowOptions
 * @property {number} pixels of the image
 * @property {string} position such as "12 of 68"
 * @property {boolean} focus whether the focus moves to the panel
 * @property {boolean} keep whether the content stays until the new one is loaded
 */

/**
 * How a correction is made.
 * @typedef {object} Corrections
 * @property {(segmentId: string, choice: import("../lib/api.js").ClassChoice) => Promise<boolean>} correct returns whether an edit was made
 * @property {() => HTMLElement} options of a correction
 */

const PATIENCE_MS = 120; // before grey bars replace the content

/**
 * Emits "close"; "zoom"; "step" with +1 or -1; "open" with the id of a segment.
 * @extends {Emitter<{close: null, zoom: null, step: number, open: string}>}
 */
export class ExplanationPanel extends Emitter {
  /** @param {Context} context @param {Corrections} corrections */
  constructor(context, corrections) {
    super();
    this.context = context;
    this.corrections = corrections;
    this.position = h("span", { class: "fine" });
    this.head = h(
      "div",
      { class: "why-head", hidden: true },
      button(
        { class: "small", title: "Back to all segments (Esc)", on: { click: () => this.emit("close", null) } },
        icon("left"),
        "All segments",
      ),
      this.position,
      iconButton("search", "Zoom to this segment or back", { on: { click: () => this.emit("zoom", null) } }),
      iconButton("left", "Previous segment", { on: { click: () => this.emit("step", -1) } }),
      iconButton("right", "Next segment", { on: { click: () => this.emit("step", 1) } }),
    );
    this.element = h("div", { class: "why", role: "region", "aria-label": "Explanation", hidden: true });
    /** @type {import("./class_picker.js").ClassPicker|null} */
    this.picker = null;
    /** @type {Segment|null} */
    this.segment = null;
  }

  get isOpen() {
    return this.segment !== null;
  }

  /** Explain a segment. @param {Segment} segment @param {ShowOptions} options */
  async show(segment, options) {
    const { pixels, position, focus, keep } = options;
    this.segment = segment;
    this.head.hidden = this.element.hidden = false;
    this.position.textContent = position;
    this.picker?.setBusy(true);
    const slow = setTimeout(
      () => this.segment === segment && !keep && this.element.replaceChildren(skeleton()),
      PATIENCE_MS,
    );
    try {
      const explanation = await api.explain(segment.segment_id);
      if (this.segment !== segment) return;
      const { element, picker } = explanationContent(explanation, this.#actions(segment, pixels));
      this.element.replaceChildren(element);
      this.picker = picker;
      if (focus && !this.element.contains(document.activeElement))
        document.getElementById("explained")?.focus({ preventScroll: true });
      this.context.announce(`${[labelOf(explanation), sureness(explanation)].filter(Boolean).join(", ")}. ${position}.`);
    } catch (error) {
      if (this.segment === segment)
        this.element.replaceChildren(failure(error, () => this.show(segment, options)));
    } finally {
      clearTimeout(slow);
    }
  }

  hide() {
    this.segment = null;
    this.picker = null;
    this.head.hidden = this.element.hidden = true;
    this.element.replaceChildren();
  }

  /** @param {Segment} segment @param {number} pixels of the image @returns {import("./explanation.js").Actions} */
  #actions(segment, pixels) {
    const { context } = this;
    const { edits, classes } = context;
    const { correct, options } = this.corrections;
    return {
      mayEdit: context.session.mayEdit,
      classes: classes.list,
      colorOf: (name) => classes.colorOf(name),
      pixels,
      correct: (choice, name) =>
        this.#edit(() => correct(segment.segment_id, choice), `Changing the label to ${name} …`),
      options,
      remove: (exemplars) =>
        this.#edit(() => edits.removeExemplars(exemplars.map((one) => one.exemplar_id)), "Removing …"),
      view: (exemplar) => context.viewer.open(exemplar),
      notify: (text) => context.notify(text),
      open: (id) => this.emit("open", id),
    };
  }

  /** Make one edit at a time. @param {() => Promise<boolean|void>} edit false: none was made @param {string} text announced meanwhile */
  async #edit(edit, text) {
    if (this.element.ariaBusy === "true") return;
    this.element.ariaBusy = "true";
    this.picker?.setBusy(true);
    this.context.announce(text);
    try {
      if ((await edit()) === false) this.picker?.setBusy(false);
    } catch (error) {
      this.picker?.setBusy(false);
      this.context.showProblem(error);
    } finally {
      this.element.ariaBusy = "false";
    }
  }
}

/** What the panel shows when the explanation cannot be loaded. @param {unknown} error @param {() => void} retry */
function failure(error, retry) {
  const { message, advice } = describe(error);
  return h(
    "div",
    { class: "empty" },
    icon("alert"),
    h("p", {}, message),
    h("p", { class: "fine" }, advice),
    button({ on: { click: retry } }, "Try again"),
  );
}
