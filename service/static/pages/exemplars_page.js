/** The page of exemplars, by class: look through them, find doubtful ones, remove or relabel some, and name classes. */

import * as api from "../lib/api.js";
import { button, h, markCurrent } from "../lib/dom.js";
import { iconButton, swatch } from "../lib/elements.js";
import { counted, sourceName } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { Selection } from "../lib/selection.js";
import { archiveButton } from "../parts/archive_button.js";
import { AuditView, KINDS } from "../parts/audit/audit_view.js";
import { ChangeDialog } from "../parts/audit/change_dialog.js";
import { selectionTray } from "../parts/audit/selection_tray.js";
import { classForm } from "../parts/class_form.js";
import { exemplarCard } from "../parts/exemplar_card.js";

/** @typedef {import("../lib/types.js").ClassInfo} ClassInfo */
/** @typedef {import("../lib/types.js").ExemplarSummary} ExemplarSummary */
/** @typedef {import("../parts/context.js").Context} Context */
/** @typedef {import("../parts/audit/audit_view.js").Kind} Kind */

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
    /** @type {Kind|null} null: all exemplars */
    this.kind = null;
    this.selection = new Selection();
    this.dialog = new ChangeDialog(context);
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
    this.audit = this.#auditView();
    this.tabs = this.#tabs();
    this.all = h("div", {}, this.#filters(), this.status, this.cards, this.more);
    this.element = this.#layout();
    context.classes.on("changed", () => {
      if (!this.element.hidden) this.#showClasses();
    });
    context.edits.on("edited", () => {
      if (!this.element.hidden) this.#refresh();
    });
  }

  /** @param {string[]} path the class, and the kind of audit */
  show([classId, kind]) {
    this.classId = classId && classId !== "all" ? Number(classId) : null;
    this.kind = kind in KINDS ? /** @type {Kind} */ (kind) : null;
    this.#showClasses();
    this.#refresh();
    const { list } = this.context.classes;
    if (this.classId === null || list.some((one) => one.class_id === this.classId)) return;
    this.context.classes.refresh().catch((error) => this.context.showProblem(error)); // others may have made it
  }

  /** Load the list that is shown. */
  #refresh() {
    this.all.hidden = this.kind !== null;
    this.audit.element.hidden = this.kind === null;
    this.#showTabs();
    return this.kind === null ? this.#load(true) : this.audit.show(this.kind, this.classId);
  }

  #auditView() {
    const { classes, viewer, session } = this.context;
    return new AuditView({
      colorOf: (name) => classes.colorOf(name),
      view: (one) => viewer.open(one),
      box: () => (session.mayEdit ? (one) => this.selection.box(one) : null),
      accept: (one, name) => this.dialog.relabel([one], new Map([[one.exemplar_id, name]])),
      selectOnly: (ones) => this.selection.set(ones.map((one) => one.exemplar_id), true),
      showProblem: (error) => this.context.showProblem(error),
      cleared: () => this.selection.clear(),
    });
  }

  #tabs() {
    const kinds = /** @type {[Kind|null, string][]} */ ([[null, "All"], ...Object.entries(KINDS).map(([kind, { title }]) => [kind, title])]);
    return kinds.map(([kind, title]) => ({ kind, link: h("a", {}, title) }));
  }

  #showTabs() {
    for (const { kind, link } of this.tabs) {
      link.href = addressOf(this.classId, kind);
      markCurrent(link, kind === this.kind, "page");
    }
  }

  #filters() {
    return h(
      "div",
      { class: "filters" },
      h("span", { class: "search" }, icon("search"), this.query),
      h("label", { class: "check", htmlFor: "removed-ones" }, this.removed, "Show removed exemplars"),
    );
  }

  /** What can be done with the selected exemplars. */
  #actions() {
    const { dialog } = this;
    const suggested = this.kind === "contradicted" ? this.#suggestions() : null;
    return {
      remove: (/** @type {ExemplarSummary[]} */ ones) => dialog.remove(ones),
      relabel: (/** @type {ExemplarSummary[]} */ ones) => dialog.relabel(ones, null),
      accept: suggested && ((/** @type {ExemplarSummary[]} */ ones) => dialog.relabel(ones, namesFor(ones, suggested))),
    };
  }

  /** The suggested class of each listed exemplar. */
  #suggestions() {
    const names = new Map();
    for (const { exemplar, suggested_class_name: name } of this.audit.entries)
      if (exemplar && name) names.set(exemplar.exemplar_id, name);
    return names;
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
        h("nav", { class: "audit-tabs", "aria-label": "What to list" }, ...this.tabs.map(({ link }) => link)),
        this.imported,
        this.all,
        this.audit.element,
        selectionTray(this.selection, () => this.#actions()),
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
          href: addressOf(id, this.kind),
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
      if (fromStart) this.#clear();
      const cards = exemplars.map((one) => this.#card(one));
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
    this.selection.clear();
    this.loaded = 0;
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
    card.querySelector(".card-body")?.append(h("span", { class: "fine source" }, sourceName(exemplar.source)));
    if (session.mayEdit && !exemplar.removed_in) card.append(this.selection.box(exemplar));
    return card;
  }
}

/** @param {number|null} classId @param {Kind|null} kind */
function addressOf(classId, kind) {
  if (kind === null) return classId === null ? "#/exemplars" : `#/exemplars/${classId}`;
  return `#/exemplars/${classId ?? "all"}/${kind}`;
}

/** The entries of some exemplars. @param {ExemplarSummary[]} exemplars @param {Map<string, string>} names */
const namesFor = (exemplars, names) =>
  new Map(exemplars.flatMap(({ exemplar_id: id }) => (names.has(id) ? [[id, String(names.get(id))]] : [])));
