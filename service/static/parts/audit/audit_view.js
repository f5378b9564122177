/** The list of one kind of audit: contradicted exemplars, duplicates, thin classes, or exemplars that caused corrections. */

import * as api from "../../lib/api.js";
import { button, h } from "../../lib/dom.js";
import { skeleton } from "../../lib/elements.js";
import { counted } from "../../lib/format.js";
import { isCancelled, Problem } from "../../lib/http.js";
import { icon } from "../../lib/icons.js";
import { contradictedRow, correctionsRow, duplicatesRow, thinRow, thinTable } from "./audit_rows.js";

/** @typedef {import("../../lib/types.js").Audit} Audit */
/** @typedef {import("../../lib/types.js").AuditEntry} AuditEntry */
/** @typedef {import("./audit_rows.js").RowOptions} RowOptions */
/** @typedef {"contradicted"|"duplicates"|"thin"|"corrections"} Kind */

/** @type {Record<Kind, {title: string, about: string, none: string}>} */
export const KINDS = {
  contradicted: {
    title: "Contradicted",
    about: "Other exemplars disagree with the label of these: without its own vote, each would get another class. The most doubtful come first.",
    none: "No exemplar is contradicted by its neighbours.",
  },
  duplicates: {
    title: "Duplicates",
    about: "Exemplars that look the same to the network. Groups with different labels come first, because one of the labels is wrong.",
    none: "No two exemplars are so alike.",
  },
  thin: {
    title: "Thin classes",
    about: "Classes with few exemplars, or with exemplars of one or two images. Mark them in more images.",
    none: "Every class has enough exemplars from enough images.",
  },
  corrections: {
    title: "Caused corrections",
    about: "These exemplars voted for labels that people corrected later. Those with the most corrections come first.",
    none: "No label has been corrected, or the exemplars behind the wrong labels are removed already.",
  },
};
const PER_PAGE = 40;
const AGAIN_MS = 1000; // before an audit that is not finished is asked for again
const FIRST = { contradicted: "Most doubtful first", duplicates: "Different labels first", corrections: "Most corrections first", thin: "" };
const SORTS = /** @type {const} */ ([
  ["doubt", FIRST.contradicted],
  ["class", "By class"],
  ["newest", "Newest first"],
]);
const ALIKE = /** @type {const} */ ([
  ["0.9999", "Identical"],
  ["0.9995", "Nearly identical"],
  ["0.998", "Very alike"],
]);

export class AuditView {
  /** @param {Omit<RowOptions, "box"> & {box: () => RowOptions["box"], showProblem: (error: unknown) => void, cleared: () => void}} options */
  constructor(options) {
    this.options = options;
    /** @type {Kind} */
    this.kind = "contradicted";
    /** @type {number|null} */
    this.classId = null;
    this.run = 0;
    this.loaded = 0;
    /** @type {AuditEntry[]} */
    this.entries = [];
    this.sort = this.#select("Sort", SORTS);
    this.alike = this.#select("How alike", ALIKE);
    this.alike.value = "0.9995";
    this.alikeLabel = h("label", { class: "check" }, "How alike", this.alike);
    this.about = h("p", { class: "fine" });
    this.status = h("p", { class: "fine", role: "status" });
    this.list = h("div", { class: "audit-list" });
    this.more = button({ class: "wide", hidden: true, on: { click: () => this.#load(false) } }, "Show more");
    this.element = h(
      "div",
      { class: "audit", hidden: true },
      this.about,
      h("div", { class: "filters" }, h("label", { class: "check" }, "Sort", this.sort), this.alikeLabel),
      this.status,
      this.list,
      this.more,
    );
  }

  /** @param {Kind} kind @param {number|null} classId */
  show(kind, classId) {
    [this.kind, this.classId] = [kind, classId];
    this.about.textContent = KINDS[kind].about;
    this.alikeLabel.hidden = kind !== "duplicates";
    this.sort.options[0].text = FIRST[kind];
    const isTable = kind === "thin";
    this.sort.closest("label")?.toggleAttribute("hidden", isTable);
    return this.#load(true);
  }

  /** @param {string} name @param {readonly (readonly [string, string])[]} choices */
  #select(name, choices) {
    const options = choices.map(([value, text]) => h("option", { value }, text));
    return h("select", { class: "small", "aria-label": name, on: { change: () => this.#load(true) } }, ...options);
  }

  /** @param {boolean} fromStart false: the next page */
  async #load(fromStart) {
    const run = ++this.run;
    const first = fromStart ? 0 : this.loaded;
    if (fromStart) {
      this.options.cleared();
      this.list.replaceChildren(skeleton());
      this.status.textContent = "Comparing exemplars …";
      this.more.hidden = true;
    }
    try {
      const found = await api.auditExemplars(this.#query(first));
      if (run !== this.run) return;
      this.loaded = first + found.entries.length;
      this.#show(found, fromStart);
    } catch (error) {
      if (run !== this.run) return;
      if (error instanceof Problem && error.status === 504) return this.#again(run, fromStart);
      this.list.replaceChildren(this.#retry());
      this.status.textContent = "";
      if (!isCancelled(error)) this.options.showProblem(error);
    }
  }

  /** Ask again for an audit of many exemplars that is not finished yet. @param {number} run @param {boolean} fromStart */
  async #again(run, fromStart) {
    this.status.textContent = "Still comparing exemplars. With very many of them this takes a minute.";
    await new Promise((done) => setTimeout(done, AGAIN_MS));
    if (run === this.run) await this.#load(fromStart);
  }

  /** @param {number} offset */
  #query(offset) {
    const query = new URLSearchParams({ kind: this.kind, limit: String(PER_PAGE), offset: String(offset) });
    if (this.classId !== null) query.set("class_id", String(this.classId));
    if (this.kind === "duplicates") query.set("similarity", this.alike.value);
    if (this.kind !== "thin") query.set("sort", this.sort.value);
    return query;
  }

  #retry() {
    return button({ on: { click: () => this.#load(true) } }, icon("undo"), "Try again");
  }

  /** @param {Audit} found @param {boolean} fromStart */
  #show(found, fromStart) {
    if (fromStart) this.entries = [];
    this.entries.push(...found.entries);
    this.status.textContent = this.#counted(found);
    this.more.hidden = this.loaded >= found.total;
    if (!found.total) return this.list.replaceChildren(this.#nothing());
    const options = { ...this.options, box: this.options.box() };
    const rows = found.entries.map((entry) => ROWS[this.kind](entry, options));
    if (this.kind === "thin") return this.list.replaceChildren(thinTable(this.entries.map((entry) => thinRow(entry, options))));
    if (fromStart) this.list.replaceChildren(h("ul", { class: "audit-rows" }));
    this.list.firstElementChild?.append(...rows);
  }

  /** @param {Audit} found */
  #counted({ total, compared, across_images: across }) {
    const what = { contradicted: "exemplar", duplicates: "group", thin: "class", corrections: "exemplar" }[this.kind];
    const many = counted(total, what, what === "class" ? "classes" : `${what}s`);
    const shown = this.loaded < total ? `${this.loaded.toLocaleString("en")} of ${many}` : many;
    const note = across || this.kind !== "contradicted" ? "" : " There are fewer than three images, so exemplars of one image judge each other.";
    return `${shown}. ${counted(compared, "exemplar")} compared.${note}`;
  }

  #nothing() {
    return h("div", { class: "empty" }, icon("check"), h("p", {}, KINDS[this.kind].none));
  }
}

const ROWS = {
  contradicted: contradictedRow,
  duplicates: duplicatesRow,
  corrections: correctionsRow,
  thin: thinRow,
};
