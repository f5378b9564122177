/** The exemplars, by class: to look through, to remove, to name. */

import * as api from "./api.js";
import { exemplarCard } from "./card.js";
import { counted, h, icon, iconButton, swatch } from "./dom.js";

/** @typedef {import("./types.js").Exemplar} Exemplar */
/** @typedef {import("./app.js").App} App */

const PER_PAGE = 60;

export class ExemplarsPage {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.title = "Exemplars";
    /** @type {number|null} */
    this.classId = null;
    this.offset = 0;
    /** @type {Map<string, Exemplar>} */
    this.picked = new Map();
    this.run = 0;
    this.classes = h("ul", { class: "class-list" });
    this.query = h("input", {
      type: "search",
      placeholder: "Search source or id",
      "aria-label": "Search exemplars",
      on: { input: () => this.#later() },
    });
    this.gone = h("input", { type: "checkbox", id: "removed-ones", on: { change: () => this.#load(true) } });
    this.head = h("div", { class: "page-head" });
    this.cards = h("ul", { class: "cards wide-cards" });
    this.status = h("p", { class: "fine", role: "status" });
    this.more = h(
      "button",
      { type: "button", class: "button wide", hidden: true, on: { click: () => this.#load(false) } },
      "Show more",
    );
    this.tray = h("div", { class: "tray", hidden: true });
    this.element = h(
      "section",
      { class: "page split", "aria-label": "Exemplars", hidden: true },
      h("nav", { class: "side", "aria-label": "Classes" }, h("h2", {}, "Classes"), this.classes),
      h(
        "div",
        { class: "content" },
        this.head,
        h(
          "div",
          { class: "filters" },
          h("span", { class: "search" }, icon("search"), this.query),
          h("label", { class: "check", htmlFor: "removed-ones" }, this.gone, "Removed ones"),
        ),
        this.status,
        this.cards,
        this.more,
        this.tray,
      ),
    );
    app.classes.addEventListener("changed", () => this.element.hidden || this.#side());
    app.edits.addEventListener("edited", () => this.element.hidden || this.#load(true));
  }

  /** @param {string[]} path class */
  show([classId]) {
    this.classId = classId === undefined || classId === "" ? null : Number(classId);
    this.#side();
    this.#load(true);
  }

  #side() {
    const { list } = this.app.classes;
    const total = list.reduce((sum, one) => sum + (one.exemplars ?? 0), 0);
    const row = (
      /** @type {number|null} */ id,
      /** @type {string} */ name,
      /** @type {number} */ count,
      /** @type {any} */ sign,
    ) =>
      h(
        "li",
        {},
        h(
          "a",
          {
            class: "class-row",
            href: id === null ? "#/exemplars" : `#/exemplars/${id}`,
            ...(this.classId === id ? { "aria-current": "true" } : {}),
          },
          sign,
          h("span", { class: "name" }, name),
          h("span", { class: "figure" }, count.toLocaleString("en")),
        ),
      );
    this.classes.replaceChildren(
      row(null, "All classes", total, h("span", { class: "swatch all" })),
      ...list.map((one) => row(one.class_id, one.name, one.exemplars ?? 0, swatch(one.color))),
    );
    this.#head();
  }

  #head() {
    const info = this.app.classes.list.find((one) => one.class_id === this.classId);
    const edit =
      info && this.app.session.mayEdit
        ? iconButton("edit", `Rename or recolour ${info.name}`, { on: { click: () => this.#rename(info) } })
        : null;
    const add =
      !info && this.app.session.mayEdit
        ? h(
            "button",
            { type: "button", class: "button small", on: { click: () => this.#rename(null) } },
            icon("plus"),
            "New class",
          )
        : null;
    this.head.replaceChildren(
      h("h1", {}, info ? swatch(info.color) : null, h("span", { class: "name" }, info ? info.name : "All exemplars")),
      edit ?? "",
      add ?? "",
    );
  }

  /** A form in place of the title. @param {import("./types.js").ClassInfo|null} info null: a new class */
  #rename(info) {
    const name = h("input", {
      type: "text",
      value: info?.name ?? "",
      required: true,
      maxLength: 60,
      "aria-label": "Name of the class",
    });
    const color = h("input", { type: "color", value: info?.color ?? "#2a9d8f", "aria-label": "Colour of the class" });
    let colored = Boolean(info);
    color.addEventListener("input", () => (colored = true));
    const send = async (/** @type {Event} */ event) => {
      event.preventDefault();
      try {
        await this.app.edits.class({
          ...(info ? { class_id: info.class_id } : {}),
          name: name.value.trim(),
          ...(colored ? { color: color.value } : {}),
        });
      } catch (error) {
        this.app.problem(error);
      }
    };
    const form = h(
      "form",
      { class: "rename", on: { submit: send } },
      color,
      name,
      h("button", { class: "button primary small" }, "Save"),
      h("button", { type: "button", class: "button small", on: { click: () => this.#head() } }, "Cancel"),
    );
    form.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.#head());
    this.head.replaceChildren(form);
    name.focus();
    name.select();
  }

  #later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#load(true), 250);
  }

  /** @param {boolean} anew from the first */
  async #load(anew) {
    const run = ++this.run;
    if (anew) this.offset = 0;
    const asked = new URLSearchParams({ limit: String(PER_PAGE), offset: String(this.offset) });
    if (this.classId !== null) asked.set("class_id", String(this.classId));
    if (this.query.value.trim()) asked.set("query", this.query.value.trim());
    if (this.gone.checked) asked.set("removed", "true");
    this.cards.ariaBusy = "true";
    try {
      const answer = await api.get(`/exemplars?${asked}`);
      if (run !== this.run) return;
      if (anew) {
        this.cards.replaceChildren();
        this.picked.clear();
        this.#tray();
      }
      this.cards.append(...answer.exemplars.map((/** @type {Exemplar} */ one) => this.#card(one)));
      this.offset += answer.exemplars.length;
      this.more.hidden = this.offset >= answer.total;
      this.status.textContent = this.#found(answer.total);
    } catch (error) {
      this.app.problem(error);
    } finally {
      if (run === this.run) this.cards.ariaBusy = "false";
    }
  }

  /** @param {number} total @returns {string} */
  #found(total) {
    const kind = this.gone.checked ? "removed exemplar" : "exemplar";
    if (total) return `${this.offset.toLocaleString("en")} of ${counted(total, kind)}`;
    if (this.gone.checked) return "None was removed.";
    if (this.query.value) return "None is like that.";
    return "None yet: correct a segment to this class, and it becomes the first.";
  }

  /** @param {Exemplar} exemplar */
  #card(exemplar) {
    const { app } = this;
    const card = exemplarCard(exemplar, {
      color: app.classes.colorOf(exemplar.class_name),
      view: (one) => app.viewer.open(one),
      remove: null,
    });
    card.querySelector(".card-body")?.append(h("span", { class: "fine source" }, exemplar.source));
    if (app.session.mayEdit && !exemplar.removed_in) {
      const box = h("input", {
        type: "checkbox",
        class: "card-pick",
        "aria-label": `Pick this exemplar of ${exemplar.class_name}`,
        on: { change: () => this.#pick(exemplar, box.checked, card) },
      });
      card.append(box);
    }
    return card;
  }

  /** @param {Exemplar} exemplar @param {boolean} on @param {HTMLElement} card */
  #pick(exemplar, on, card) {
    card.classList.toggle("picked", on);
    if (on) this.picked.set(exemplar.exemplar_id, exemplar);
    else this.picked.delete(exemplar.exemplar_id);
    this.#tray();
  }

  #tray() {
    const count = this.picked.size;
    this.tray.hidden = !count;
    const remove = () => this.app.edits.remove([...this.picked.keys()]).catch((error) => this.app.problem(error));
    const clear = () => {
      for (const box of this.cards.querySelectorAll(".card-pick:checked")) box.click();
    };
    this.tray.replaceChildren(
      h("span", {}, `${counted(count, "exemplar")} picked`),
      h("button", { type: "button", class: "button small", on: { click: clear } }, "None"),
      h(
        "button",
        { type: "button", class: "button danger small", on: { click: remove } },
        icon("trash"),
        `Remove ${count}`,
      ),
    );
  }
}
