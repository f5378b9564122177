/** The log of edits: who changed what, and the way back. */

import * as api from "./api.js";
import { crop, turned } from "./card.js";
import { ago, counted, h, icon } from "./dom.js";

/** @typedef {import("./types.js").Edit} Edit */
/** @typedef {import("./app.js").App} App */

const PER_PAGE = 50;
const DRAWINGS = /** @type {const} */ ({ add: "plus", label: "edit", remove: "trash", class: "stack", revert: "undo" });

export class EditsPage {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.title = "Edits";
    this.list = h("ol", { class: "log" });
    this.empty = h(
      "div",
      { class: "empty", hidden: true },
      icon("log"),
      h("p", {}, "No edit yet."),
      h("p", { class: "fine" }, "Correct a segment or remove an exemplar, and it is written here, with the way back."),
    );
    this.more = h(
      "button",
      { type: "button", class: "button wide", hidden: true, on: { click: () => this.#load(false) } },
      "Show older ones",
    );
    this.element = h(
      "section",
      { class: "page", "aria-label": "Edits", hidden: true },
      h(
        "div",
        { class: "content narrow" },
        h("div", { class: "page-head" }, h("h1", {}, "Edits")),
        h(
          "p",
          { class: "fine" },
          "Each change of the exemplars since the release was built, the newest first. The release itself is never changed.",
        ),
        this.list,
        this.empty,
        this.more,
      ),
    );
    app.edits.addEventListener("edited", () => this.element.hidden || this.#load(true));
    /** @type {number|null} */
    this.oldest = null;
  }

  show() {
    this.#load(true);
  }

  /** @param {boolean} anew */
  async #load(anew) {
    if (anew) this.oldest = null;
    try {
      const before = this.oldest === null ? "" : `&before=${this.oldest}`;
      /** @type {Edit[]} */
      const edits = await api.get(`/edits?limit=${PER_PAGE}${before}`);
      if (anew) this.list.replaceChildren();
      this.list.append(...edits.map((edit) => this.#item(edit)));
      this.oldest = edits[edits.length - 1]?.revision ?? this.oldest;
      this.more.hidden = edits.length < PER_PAGE;
      this.empty.hidden = this.list.children.length > 0;
    } catch (error) {
      this.app.problem(error);
    }
  }

  /** @param {Edit} edit */
  #item(edit) {
    const undone = edit.reverted_by !== null && edit.reverted_by !== undefined;
    const more = h("div", { class: "log-more", hidden: true });
    const open = h(
      "button",
      {
        type: "button",
        class: "log-summary",
        "aria-expanded": "false",
        on: { click: () => this.#toggle(edit, more, open) },
      },
      h("strong", {}, edit.summary.charAt(0).toUpperCase() + edit.summary.slice(1)),
      icon("down"),
    );
    const revert =
      this.app.session.mayEdit && !undone
        ? h(
            "button",
            { type: "button", class: "button small", on: { click: () => this.app.takeBack(edit) } },
            icon("undo"),
            edit.kind === "revert" ? "Redo" : "Revert",
          )
        : null;
    const said = [
      edit.author ?? "somebody",
      ago(edit.created),
      undone ? `reverted in ${edit.reverted_by}` : "",
      edit.reason ? `“${edit.reason}”` : "",
    ]
      .filter(Boolean)
      .join(" · ");
    return h(
      "li",
      { class: `log-item ${edit.kind}${undone ? " undone" : ""}`, dataset: { revision: edit.revision } },
      h("span", { class: "log-sign" }, icon(DRAWINGS[edit.kind] ?? "edit")),
      h(
        "div",
        { class: "log-body" },
        open,
        h(
          "p",
          { class: "fine", title: new Date(edit.created).toLocaleString() },
          `Revision ${edit.revision} · ${said}`,
        ),
        more,
      ),
      revert ?? h("span", {}),
    );
  }

  /** @param {Edit} edit @param {HTMLElement} more @param {HTMLElement} button */
  async #toggle(edit, more, button) {
    more.hidden = !more.hidden;
    button.setAttribute("aria-expanded", String(!more.hidden));
    if (more.hidden || more.childElementCount) return;
    const thumbs = edit.exemplar_ids
      .slice(0, 12)
      .map((id) =>
        h(
          "li",
          {},
          h(
            "button",
            { type: "button", "aria-label": "Exemplar of this edit", on: { click: () => this.#view(id) } },
            crop(`/exemplars/${encodeURIComponent(id)}/crop`, ""),
          ),
        ),
      );
    const effect = h("div", {}, h("p", { class: "fine" }, "Looking through recent pictures …"));
    more.replaceChildren(
      thumbs.length
        ? h(
            "ul",
            { class: "thumbs" },
            ...thumbs,
            edit.exemplar_ids.length > 12 ? h("li", { class: "more" }, `+${edit.exemplar_ids.length - 12}`) : null,
          )
        : "",
      edit.segment_id
        ? h(
            "p",
            {},
            h("a", { href: `#/s/${edit.segment_id.replace(/-(\d+)$/, "/$1")}` }, "The segment that was corrected"),
          )
        : "",
      effect,
    );
    try {
      /** @type {import("./types.js").Effect} */
      const told = await api.get(`/edits/${edit.revision}/effect?recent=50`);
      const rows = told.segments.slice(0, 6).map((one) =>
        h(
          "li",
          { class: "card" },
          h(
            "a",
            {
              class: "card-view",
              href: `#/s/${one.segment_id.replace(/-(\d+)$/, "/$1")}`,
              "aria-label": `${one.before} became ${one.after}`,
            },
            crop(one.crop_url, ""),
          ),
          h(
            "div",
            { class: "card-body" },
            turned(one.before, one.after, (name) => this.app.classes.colorOf(name)),
          ),
        ),
      );
      effect.replaceChildren(
        h(
          "p",
          {},
          told.segments.length
            ? `${counted(told.segments.length, "segment")} of recent pictures would now be labelled otherwise:`
            : "No segment of recent pictures is labelled otherwise through it.",
        ),
        rows.length ? h("ul", { class: "cards" }, ...rows) : "",
      );
    } catch {
      effect.remove();
    }
  }

  /** @param {string} id */
  async #view(id) {
    try {
      this.app.viewer.open(await api.get(`/exemplars/${encodeURIComponent(id)}`));
    } catch (error) {
      this.app.problem(error);
    }
  }
}
