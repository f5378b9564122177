/** The panel that explains the segment that was opened. */

import * as api from "./api.js";
import { h, icon, iconButton } from "./dom.js";
import { explanation } from "./explanation.js";

/** @typedef {import("./types.js").Segment} Segment */
/** @typedef {import("./types.js").Exemplar} Exemplar */
/** @typedef {import("./app.js").App} App */

/**
 * Announces "close", "step" with +1 or -1, and "open" with a segment's id in `detail`.
 */
export class Inquiry extends EventTarget {
  /** @param {App} app */
  constructor(app) {
    super();
    this.app = app;
    this.place = h("span", { class: "fine" });
    const step = (/** @type {number} */ by) => this.dispatchEvent(new CustomEvent("step", { detail: by }));
    this.head = h(
      "div",
      { class: "why-head", hidden: true },
      h(
        "button",
        {
          type: "button",
          class: "button small",
          title: "Back to all segments (Esc)",
          on: { click: () => this.dispatchEvent(new Event("close")) },
        },
        icon("left"),
        "All segments",
      ),
      this.place,
      iconButton("search", "Zoom to this segment, or back", {
        on: { click: () => this.dispatchEvent(new Event("approach")) },
      }),
      iconButton("left", "Previous segment", { on: { click: () => step(-1) } }),
      iconButton("right", "Next segment", { on: { click: () => step(1) } }),
    );
    this.element = h("div", { class: "told", role: "region", "aria-label": "Explanation", hidden: true });
    /** @type {import("./chooser.js").Chooser|null} */
    this.chooser = null;
    /** @type {Segment|null} */
    this.segment = null;
  }

  get isOpen() {
    return this.segment !== null;
  }

  /**
   * @param {Segment} segment
   * @param {{pixels: number, place: string, focus: boolean}} options pixels of the picture; place: "12 of 68"
   */
  async show(segment, { pixels, place, focus }) {
    const other = this.segment?.segment_id !== segment.segment_id;
    this.segment = segment;
    this.head.hidden = this.element.hidden = false;
    this.place.textContent = place;
    this.chooser?.wait(true);
    const slow = setTimeout(() => this.segment === segment && other && this.element.replaceChildren(skeleton()), 120);
    try {
      const told = await api.get(`/explain/${encodeURIComponent(segment.segment_id)}`);
      if (this.segment !== segment) return;
      const made = explanation(told, this.#actions(segment, pixels));
      this.element.replaceChildren(made.element);
      this.chooser = made.chooser;
      if (focus && !this.element.contains(document.activeElement))
        document.getElementById("explained")?.focus({ preventScroll: true });
      this.app.say(
        `${told.class_name}${told.known ? "" : ", unknown"}, ${Math.round(told.confidence * 100)} percent sure. ${place}.`,
      );
    } catch (error) {
      if (this.segment === segment)
        this.element.replaceChildren(refusal(error, () => this.show(segment, { pixels, place, focus })));
    } finally {
      clearTimeout(slow);
    }
  }

  hide() {
    this.segment = null;
    this.chooser = null;
    this.head.hidden = this.element.hidden = true;
    this.element.replaceChildren();
  }

  /** @param {Segment} segment @param {number} pixels @returns {import("./explanation.js").Actions} */
  #actions(segment, pixels) {
    const { app } = this;
    return {
      mayEdit: app.session.mayEdit,
      classes: app.classes.list,
      colorOf: (name) => app.classes.colorOf(name),
      pixels,
      correct: (choice, name) => this.#apply(() => app.edits.label(segment.segment_id, choice), `Making it ${name} …`),
      remove: (exemplars) => this.#apply(() => app.edits.remove(exemplars.map((one) => one.exemplar_id)), "Removing …"),
      view: (exemplar) => app.viewer.open(exemplar),
      tell: (text) => app.tell(text),
      open: (id) => this.dispatchEvent(new CustomEvent("open", { detail: id })),
    };
  }

  /** @param {() => Promise<unknown>} edit @param {string} said */
  async #apply(edit, said) {
    if (this.element.ariaBusy === "true") return;
    this.element.ariaBusy = "true";
    this.chooser?.wait(true);
    this.app.say(said);
    try {
      await edit();
    } catch (error) {
      this.chooser?.wait(false);
      this.app.problem(error);
    } finally {
      this.element.ariaBusy = "false";
    }
  }
}

/** What is to come, in grey. */
export const skeleton = () =>
  h("div", { class: "skeleton", "aria-hidden": "true" }, ...Array.from({ length: 6 }, () => h("span")));

/** @param {unknown} error @param {() => void} again */
function refusal(error, again) {
  const problem = /** @type {api.Problem} */ (error);
  return h(
    "div",
    { class: "empty" },
    icon("alert"),
    h("p", {}, problem.message),
    h("p", { class: "fine" }, problem.advice ?? ""),
    h("button", { type: "button", class: "button", on: { click: again } }, "Try again"),
  );
}
