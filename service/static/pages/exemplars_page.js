/** The page of exemplars, by class: look through them, remove some, make and rename classes. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { iconButton, swatch } from "../lib/elements.js";
import { counted } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { archiveButton } from "../parts/archive_button.js";
import { classForm } from "../parts/class_form.js";
import { exemplarCard } from "../parts/exemplar_card.js";

/** @typedef {import("../lib/types.js").ClassInfo} ClassInfo */
/** @typedef {import("../lib/types.js").ExemplarSummary} ExemplarSummary */
/** @typedef {import("../parts/context.js").Context} Context */

const PER_PAGE = 60;
const TYPING_MS = 250; // pause in typing after which the search starts

export class ExemplarsPage {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.title = "Exemplars";
    /** @type {number|null} null: all classes */
    this.classId = null;
    this.loaded = 0;
    /** @type {Map<string, HTMLInputElement>} checkboxes of the selected exemplars, by exemplar */
    this.selected = new Map();
    this.run = 0;
    this.timer = 0;
    this.classes = h("ul", { class: "class-list" });
    this.query = h("input", {
      type: "search",
      placeholder: "Search by image name",
      "aria-label": "Search exemplars by image name",
      on: { input: () => this.#searchLater() },
    });
    this.removed = h("input", { type: "checkbox", id: "removed-ones", on: { change: () => this.#load(true) } });
    this.head = h("div", { class: "page-head" });
    this.cards = h("ul", { class: "cards wide-cards" });
    this.imported = h("p", { class: "fine", role: "status" });
    this.status = h("p", { class: "fine", role: "status" });
    this.more = button({ class: "wide", hidden: true, on: { click: () => this.#load(false) } }, "Show more");
    this.selection = h("div", { class: "tray", hidden: true });
    this.element = this.#layout();
    context.classes.on("changed", () => {
      if (!this.element.hidden) this.#showClasses();
    });
    context.edits.on("edited", () => {
      if (!this.element.hidden) this.#load(true);
    });
  }

  /** @param {string[]} path the class */
  show([classId]) {
    this.classId = classId ? Number(classId) : null;
    this.#showClasses();
    this.#load(true);
  }

  #layout() {
    return h(
      "section",
      { class: "page split", "aria-label": "Exemplars", hidden: true },
      h("nav", { class: "side", "aria-label": "Classes" }, h("h2", {}, "Classes"), this.classes),
      h(
        "div",
        { class: "content" },
        this.head,
        h(
          "p",
          { class: "fine" },
          "Exemplars are labelled segments. The label of a new segment is a vote of the exemplars that it is most similar to.",
        ),
        h(
          "div",
          { class: "filters" },
          h("span", { class: "search" }, icon("search"), this.query),
          h("label", { class: "check", htmlFor: "removed-ones" }, this.removed, "Show removed exemplars"),
        ),
        this.imported,
        this.status,
        this.cards,
        this.more,
        this.selection,
      ),
    );
  }

  #showClasses() {
    const { list } = this.context.classes;
    const total = list.reduce((sum, one) => sum + one.exemplars, 0);
    this.classes.replaceChildren(
      this.#classRow(null, "All classes", total, h("span", { class: "swatch all" })),
      ...list.map((one) => this.#classRow(one.class_id, one.name, one.exemplars, swatch(one.color))),
    );
    this.#showHead();
  }

  /** @param {number|null} id @param {string} name @param {number} count of exemplars @param {HTMLElement} sign */
  #classRow(id, name, count, sign) {
    return h(
      "li",
      {},
      h(
        "a",
        {
          class: "class-row",
          href: id === null ? "#/exemplars" : `#/exemplars/${id}`,
          "aria-current": this.classId === id ? "true" : null,
        },
        sign,
        h("span", { class: "name" }, name),
        h("span", { class: "figure" }, count.toLocaleString("en")),
      ),
    );
  }

  #showHead() {
    const info = this.context.classes.list.find((one) => one.class_id === this.classId) ?? null;
    const form = () => this.#showForm(info);
    const edit = info
      ? iconButton("edit", `Change the name or the colour of ${info.name}`, { on: { click: form } })
      : button({ class: "small", on: { click: form } }, icon("plus"), "New class");
    const edits = [edit, ...(info ? [] : [archiveButton(this.context, (told) => (this.imported.textContent = told))])];
    this.head.replaceChildren(
      h("h1", {}, info ? swatch(info.color) : null, h("span", { class: "name" }, info ? info.name : "All exemplars")),
      ...(this.context.session.mayEdit ? edits : []),
    );
  }

  /** Show a form in place of the title. @param {ClassInfo|null} info null: a new class */
  #showForm(info) {
    const { element, focus } = classForm(info, {
      save: (change) => this.context.edits.saveClass(change).catch((error) => this.context.showProblem(error)),
      cancel: () => this.#showHead(),
    });
    this.head.replaceChildren(element);
    focus();
  }

  #searchLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#load(true), TYPING_MS);
  }

  /** @param {boolean} fromStart false: the next page */
  async #load(fromStart) {
    const run = ++this.run;
    this.cards.ariaBusy = "true";
    try {
      const { exemplars, total } = await api.listExemplars(this.#request(fromStart ? 0 : this.loaded));
      if (run !== this.run) return; // a later request has replaced this one
      const cards = exemplars.map((one) => this.#card(one));
      if (fromStart) this.#clear();
      this.cards.append(...cards);
      this.loaded += cards.length;
      this.more.hidden = this.loaded >= total;
      this.status.textContent = this.#found(total);
    } catch (error) {
      this.context.showProblem(error);
    } finally {
      if (run === this.run) this.cards.ariaBusy = "false";
    }
  }

  /** @param {number} offset */
  #request(offset) {
    const query = new URLSearchParams({ limit: String(PER_PAGE), offset: String(offset) });
    if (this.classId !== null) query.set("class_id", String(this.classId));
    if (this.query.value.trim()) query.set("query", this.query.value.trim());
    if (this.removed.checked) query.set("removed", "true");
    return query;
  }

  #clear() {
    this.cards.replaceChildren();
    this.selected.clear();
    this.loaded = 0;
    this.#showSelection();
  }

  /** @param {number} total @returns {string} */
  #found(total) {
    const kind = this.removed.checked ? "removed exemplar" : "exemplar";
    if (total) return `${this.loaded.toLocaleString("en")} of ${counted(total, kind)}`;
    if (this.query.value.trim()) return `No ${kind} is from an image of this name.`;
    if (this.removed.checked) return "No exemplar was removed.";
    if (this.classId === null) return "No exemplars yet. Segment an image and name the class of a segment to add the first.";
    return "No exemplars yet. Correct a segment to this class to add the first.";
  }

  /** @param {ExemplarSummary} exemplar */
  #card(exemplar) {
    const { classes, viewer, session } = this.context;
    const card = exemplarCard(exemplar, {
      color: classes.colorOf(exemplar.class_name),
      view: (one) => viewer.open(one),
    });
    card.querySelector(".card-body")?.append(h("span", { class: "fine source" }, exemplar.source));
    if (session.mayEdit && !exemplar.removed_in) card.append(this.#checkbox(exemplar, card));
    return card;
  }

  /** @param {ExemplarSummary} exemplar @param {HTMLElement} card */
  #checkbox(exemplar, card) {
    const box = h("input", {
      type: "checkbox",
      class: "card-pick",
      "aria-label": `Select this exemplar of ${exemplar.class_name}`,
      on: { change: () => select() },
    });
    const select = () => {
      card.classList.toggle("picked", box.checked);
      if (box.checked) this.selected.set(exemplar.exemplar_id, box);
      else this.selected.delete(exemplar.exemplar_id);
      this.#showSelection();
    };
    return box;
  }

  #showSelection() {
    const count = this.selected.size;
    const { context } = this;
    const remove = () =>
      context.edits.removeExemplars([...this.selected.keys()]).catch((error) => context.showProblem(error));
    const clear = () => [...this.selected.values()].forEach((box) => box.click());
    this.selection.hidden = !count;
    this.selection.replaceChildren(
      h("span", {}, `${counted(count, "exemplar")} selected`),
      button({ class: "small", on: { click: clear } }, "Clear"),
      button({ class: "danger small", on: { click: remove } }, icon("trash"), `Remove ${count}`),
    );
  }
}
