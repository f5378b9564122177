/** "This is a …": the classes to choose from, and room for a new one. */

import { h, icon, swatch } from "./dom.js";

/** @typedef {import("./types.js").ClassInfo} ClassInfo */
/** @typedef {{class_id: number}|{class_name: string}} Choice */

let made = 0;

/** A text field over chips, one a class; digits pick the first ten, a name that is new makes a class. */
export class Chooser {
  /**
   * @param {ClassInfo[]} classes
   * @param {{current: number, second: number|null, choose: (choice: Choice, name: string) => void}} options
   */
  constructor(classes, { current, second, choose }) {
    this.classes = classes;
    this.current = current;
    this.second = second;
    this.choose = choose;
    this.id = `chooser-${++made}`;
    this.at = -1;
    this.field = h("input", {
      id: this.id,
      type: "text",
      role: "combobox",
      class: "chooser-field",
      placeholder: "Find or name a class",
      maxLength: 60,
      autocomplete: "off",
      spellcheck: false,
      "aria-expanded": "true",
      "aria-controls": `${this.id}-list`,
      "aria-autocomplete": "list",
      on: { input: () => this.#render(), keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event) },
    });
    this.list = h("div", { id: `${this.id}-list`, class: "chips", role: "listbox", "aria-label": "Classes" });
    this.element = h(
      "section",
      { class: "chooser", "aria-busy": "false" },
      h("label", { htmlFor: this.id }, "This is a …"),
      this.field,
      this.list,
    );
    this.#render();
  }

  /** Type on in the field. @param {string} [text] */
  focus(text = "") {
    if (text) this.field.value = text;
    this.field.focus();
    this.#render();
  }

  /** @param {number} digit 1..10 @returns {boolean} whether there is such a class */
  pick(digit) {
    const info = this.classes[digit - 1];
    if (info) this.#take(info);
    return Boolean(info);
  }

  /** @param {boolean} busy */
  wait(busy) {
    this.element.setAttribute("aria-busy", String(busy));
    this.field.disabled = busy;
    for (const chip of this.list.children) chip.disabled = busy;
  }

  #render() {
    const text = this.field.value.trim().toLowerCase();
    const found = this.classes.filter((info) => info.name.toLowerCase().includes(text));
    found.sort((a, b) => Number(b.name.toLowerCase() === text) - Number(a.name.toLowerCase() === text));
    const isNew = text && !this.classes.some((info) => info.name.toLowerCase() === text);
    const chips = found.map((info) => this.#chip(info));
    if (isNew) chips.push(this.#newChip(this.field.value.trim()));
    this.list.replaceChildren(...chips);
    this.#mark(text ? 0 : -1);
  }

  /** @param {ClassInfo} info */
  #chip(info) {
    const place = this.classes.indexOf(info);
    const current = info.class_id === this.current;
    const note = current ? "confirm this label" : info.class_id === this.second ? "the runner-up" : "";
    return h(
      "button",
      {
        type: "button",
        id: `${this.id}-${info.class_id}`,
        class: `chip${current ? " current" : ""}${info.class_id === this.second ? " second" : ""}`,
        role: "option",
        tabIndex: -1,
        "aria-selected": "false",
        title: note || `This is a ${info.name}`,
        on: { click: () => this.#take(info) },
      },
      swatch(info.color),
      h("span", { class: "name" }, info.name),
      current ? icon("check") : null,
      place < 10 ? h("kbd", { "aria-hidden": "true" }, (place + 1) % 10) : null,
    );
  }

  /** @param {string} name */
  #newChip(name) {
    return h(
      "button",
      {
        type: "button",
        id: `${this.id}-new`,
        class: "chip new",
        role: "option",
        tabIndex: -1,
        "aria-selected": "false",
        on: { click: () => this.choose({ class_name: name }, name) },
      },
      icon("plus"),
      h("span", { class: "name" }, `New class “${name}”`),
    );
  }

  /** @param {ClassInfo} info */
  #take(info) {
    this.choose({ class_id: info.class_id }, info.name);
  }

  /** @param {number} at */
  #mark(at) {
    const chips = [...this.list.children];
    this.at = Math.min(at, chips.length - 1);
    chips.forEach((chip, n) => chip.setAttribute("aria-selected", String(n === this.at)));
    if (this.at >= 0) this.field.setAttribute("aria-activedescendant", chips[this.at].id);
    else this.field.removeAttribute("aria-activedescendant");
    chips[this.at]?.scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const count = this.list.children.length;
    if (event.key === "ArrowDown" || (event.key === "ArrowRight" && !this.field.value))
      this.#mark((this.at + 1) % count);
    else if (event.key === "ArrowUp" || (event.key === "ArrowLeft" && !this.field.value))
      this.#mark((this.at - 1 + count) % count);
    else if (event.key === "Enter" && this.at >= 0) this.list.children[this.at].click();
    else if (event.key === "Escape" && this.field.value) {
      this.field.value = "";
      this.#render();
      event.stopPropagation();
    } else return;
    event.preventDefault();
  }
}
