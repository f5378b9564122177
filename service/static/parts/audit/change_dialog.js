/** The dialog before exemplars are removed or get another class: what would change in recent images. */

import * as api from "../../lib/api.js";
import { button, h } from "../../lib/dom.js";
import { iconButton, labelChange, swatch, thumbnail } from "../../lib/elements.js";
import { counted } from "../../lib/format.js";
import { nameOf } from "../../lib/labels.js";

/** @typedef {import("../../lib/types.js").ExemplarSummary} ExemplarSummary */
/** @typedef {import("../../lib/types.js").ExemplarPreview} ExemplarPreview */
/** @typedef {import("../../lib/types.js").EffectSegment} EffectSegment */
/** @typedef {import("../context.js").Context} Context */
/** @typedef {Map<string, string>} NewClasses names of new classes, by exemplar */

const CROPS = 8;
const CARDS = 6;
const TYPING_MS = 300; // pause in typing after which the preview is computed
const NEW = "\u0000"; // value of the option for a new class

export class ChangeDialog {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.dialog = h("dialog", { class: "dialog change-dialog", "aria-labelledby": "change-title" });
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.run = 0;
    this.timer = 0;
    /** @type {NewClasses} */
    this.names = new Map();
    this.preview = h("div", { class: "change-preview", "aria-live": "polite" });
  }

  /** Ask before exemplars are removed. @param {ExemplarSummary[]} exemplars */
  remove(exemplars) {
    const many = counted(exemplars.length, "exemplar");
    const ids = exemplars.map((one) => one.exemplar_id);
    this.#open(`Remove ${many}`, exemplars, [
      h("p", {}, "They will not vote any more. You can undo this."),
      this.preview,
      this.#foot(button({ class: "danger", on: { click: () => this.#apply(() => this.context.edits.removeExemplars(ids)) } }, `Remove ${many}`)),
    ]);
    this.#compare({ remove: ids });
  }

  /**
   * Ask before exemplars get another class.
   * @param {ExemplarSummary[]} exemplars
   * @param {NewClasses|null} suggested the class of each; null: a person chooses one for all
   */
  relabel(exemplars, suggested) {
    const confirm = button({ class: "primary", on: { click: () => this.#relabel(exemplars, this.names) } }, "Relabel");
    this.names = suggested ?? new Map();
    confirm.disabled = !suggested;
    if (suggested) confirm.textContent = `Relabel ${counted(exemplars.length, "exemplar")}`;
    this.#open(`Relabel ${counted(exemplars.length, "exemplar")}`, exemplars, [
      suggested ? this.#summary(suggested) : this.#chooser(exemplars, confirm),
      this.preview,
      this.#foot(confirm),
    ]);
    if (suggested) this.#compare({ relabel: labelsOf(suggested) });
    else this.preview.replaceChildren(h("p", { class: "fine" }, "Choose a class to see what would change."));
  }

  /** @param {string} title @param {ExemplarSummary[]} exemplars @param {HTMLElement[]} content */
  #open(title, exemplars, content) {
    this.preview.replaceChildren();
    const rest = exemplars.length - CROPS;
    const crops = exemplars.slice(0, CROPS).map((one) => h("li", {}, thumbnail(one.crop_url, one.class_name)));
    this.dialog.replaceChildren(
      h(
        "div",
        { class: "dialog-head" },
        h("h2", { id: "change-title" }, title),
        iconButton("close", "Close", { on: { click: () => this.dialog.close() } }),
      ),
      h("ul", { class: "thumbs" }, ...crops, rest > 0 ? h("li", { class: "more" }, `+${rest}`) : null),
      ...content,
    );
    if (!this.dialog.isConnected) document.body.append(this.dialog);
    this.dialog.showModal();
  }

  /** @param {HTMLElement} confirm */
  #foot(confirm) {
    const cancel = button({ on: { click: () => this.dialog.close() } }, "Cancel");
    return h("div", { class: "dialog-foot" }, cancel, confirm);
  }

  /** The classes that are suggested, with their numbers. @param {NewClasses} suggested */
  #summary(suggested) {
    const counts = new Map();
    for (const name of suggested.values()) counts.set(name, (counts.get(name) ?? 0) + 1);
    const parts = [...counts].map(([name, count]) =>
      h("li", {}, swatch(this.context.classes.colorOf(name)), `${name}: ${count.toLocaleString("en")}`),
    );
    return h("div", {}, h("p", {}, "Each gets the class of its neighbours:"), h("ul", { class: "change-classes" }, ...parts));
  }

  /** @param {ExemplarSummary[]} exemplars @param {HTMLButtonElement} confirm */
  #chooser(exemplars, confirm) {
    const options = this.context.classes.list.map((one) => h("option", { value: one.name }, one.name));
    const name = h("input", { type: "text", placeholder: "Name of the new class", "aria-label": "Name of the new class", maxLength: 60, hidden: true });
    const choice = h(
      "select",
      { id: "change-class" },
      h("option", { value: "" }, "Choose a class"),
      ...options,
      h("option", { value: NEW }, "New class …"),
    );
    const changed = (/** @type {number} */ pause) => {
      name.hidden = choice.value !== NEW;
      const chosen = choice.value === NEW ? name.value.trim() : choice.value;
      this.names = new Map(exemplars.map((one) => [one.exemplar_id, chosen]));
      confirm.disabled = !chosen;
      confirm.textContent = chosen ? `Relabel to ${chosen}` : "Relabel";
      clearTimeout(this.timer);
      if (chosen) this.timer = setTimeout(() => this.#compare({ relabel: labelsOf(this.names) }), pause);
    };
    choice.addEventListener("change", () => {
      changed(0);
      if (choice.value === NEW) name.focus();
    });
    name.addEventListener("input", () => changed(TYPING_MS));
    return h("div", { class: "change-choice" }, h("label", { htmlFor: "change-class" }, "Their right class"), choice, name);
  }

  /** Show what would change in recent images. @param {api.ExemplarChange} change */
  async #compare(change) {
    const run = ++this.run;
    this.preview.replaceChildren(h("p", { class: "fine" }, "Checking recent images …"));
    try {
      const found = await api.previewExemplars(change);
      if (run === this.run) this.preview.replaceChildren(...this.#found(found));
    } catch (error) {
      if (run !== this.run) return;
      this.preview.replaceChildren();
      this.context.showProblem(error);
    }
  }

  /** @param {ExemplarPreview} found */
  #found({ answers, changed }) {
    if (!answers) return [h("p", { class: "fine" }, "No image is stored, so there is nothing to compare.")];
    const images = counted(answers, "recent image");
    if (!changed.length) return [h("p", {}, `No segment of ${images} would get another label.`)];
    const rest = changed.length - CARDS;
    return [
      h("p", {}, `${counted(changed.length, "segment")} of ${images} would get another label:`),
      h("ul", { class: "cards" }, ...changed.slice(0, CARDS).map((one) => this.#card(one))),
      rest > 0 ? h("p", { class: "fine" }, `and ${rest.toLocaleString("en")} more`) : h("span"),
    ];
  }

  /** @param {EffectSegment} one */
  #card(one) {
    const alt = `${nameOf(one.before)} would become ${nameOf(one.after)}`;
    return h(
      "li",
      { class: "card" },
      h("div", { class: "card-view" }, thumbnail(one.crop_url, alt)),
      h("div", { class: "card-body" }, labelChange(one.before, one.after, (name) => this.context.classes.colorOf(name))),
    );
  }

  /** @param {ExemplarSummary[]} exemplars @param {NewClasses} names */
  #relabel(exemplars, names) {
    const known = exemplars.filter((one) => names.has(one.exemplar_id));
    const labels = known.map((one) => ({ exemplar_id: one.exemplar_id, class_name: String(names.get(one.exemplar_id)) }));
    this.#apply(() => this.context.edits.relabelExemplars(labels));
  }

  /** @param {() => Promise<void>} edit */
  async #apply(edit) {
    this.run++;
    this.dialog.close();
    await edit().catch((error) => this.context.showProblem(error));
  }
}

/** @param {NewClasses} names */
const labelsOf = (names) => [...names].map(([exemplar_id, class_name]) => ({ exemplar_id, class_name }));
