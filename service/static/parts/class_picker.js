/** "This is a …": a text field and the classes to choose from. */

import { h } from "../lib/dom.js";
import { swatch } from "../lib/elements.js";
import { icon } from "../lib/icons.js";

/** @typedef {import("../lib/types.js").ClassInfo} ClassInfo */
/** @typedef {import("../lib/api.js").ClassChoice} ClassChoice */
/**
 * @typedef {object} Options
 * @property {number|null} current the class that the segment has; null: none
 * @property {number|null} runnerUp the class with the second most votes
 * @property {string} [hint] what to do, in place of the usual text
 * @property {(choice: ClassChoice, name: string) => void} choose
 * @property {HTMLElement} [footer] shown below the classes
 */

const HINT = "Choose another class to correct the label, or the same to confirm it.";
const FIRST_HINT = "Name the class of this segment. Segments that look like it get the class too.";

let created = 0;

/** A name without case and in one Unicode form: names that are equal so are one name. @param {string} name */
const folded = (name) => name.normalize("NFC").toLowerCase();

/** A text field above one button a class. Digits choose the first ten; a new name makes a class. */
export class ClassPicker {
  /** @param {ClassInfo[]} classes @param {Options} options */
  constructor(classes, options) {
    this.classes = classes;
    this.options = options;
    this.id = `class-picker-${++created}`;
    this.active = -1; // index of the highlighted choice
    /** @type {HTMLButtonElement[]} */
    this.choices = [];
    this.field = this.#field();
    this.list = h("div", { id: `${this.id}-list`, class: "chips", role: "listbox", "aria-label": "Classes" });
    this.element = h(
      "section",
      { class: "chooser", "aria-busy": "false" },
      h("label", { htmlFor: this.id }, "This is a …"),
      h("p", { id: `${this.id}-hint`, class: "fine" }, options.hint ?? (options.current === null ? FIRST_HINT : HINT)),
      this.field,
      this.list,
      options.footer,
    );
    this.#render();
  }

  /** Put the cursor into the field. @param {string} [text] what it is to contain */
  focus(text = "") {
    if (text) this.field.value = text;
    this.field.focus();
    this.#render();
  }

  /** Choose a class by its number. @param {number} number 1..10 @returns {boolean} whether there is such a class */
  choose(number) {
    const info = this.classes[number - 1];
    if (info) this.#chooseKnown(info);
    return Boolean(info);
  }

  /** @param {boolean} busy whether nothing can be chosen */
  setBusy(busy) {
    this.element.setAttribute("aria-busy", String(busy));
    this.field.disabled = busy;
    for (const choice of this.choices) choice.disabled = busy;
  }

  #field() {
    return h("input", {
      id: this.id,
      type: "text",
      role: "combobox",
      class: "chooser-field",
      placeholder: this.classes.length ? "Search, or name a new class" : "Name a new class",
      maxLength: 60,
      autocomplete: "off",
      spellcheck: false,
      "aria-expanded": "true",
      "aria-controls": `${this.id}-list`,
      "aria-autocomplete": "list",
      "aria-describedby": `${this.id}-hint`,
      on: { input: () => this.#render(), keydown: (event) => this.#key(event) },
    });
  }

  #render() {
    const name = this.field.value.trim();
    const text = folded(name);
    const found = this.classes.filter((info) => folded(info.name).includes(text));
    const closeness = (/** @type {ClassInfo} */ info) => (info.name === name ? 2 : Number(folded(info.name) === text));
    found.sort((a, b) => closeness(b) - closeness(a));
    this.choices = found.map((info) => this.#known(info));
    if (text && !this.classes.some((info) => folded(info.name) === text)) this.choices.push(this.#new(name));
    this.list.replaceChildren(...this.choices);
    this.#activate(text ? 0 : -1);
  }

  /** A button that chooses a class. @param {ClassInfo} info */
  #known(info) {
    const { current, runnerUp } = this.options;
    const number = this.classes.indexOf(info) + 1;
    const isCurrent = info.class_id === current;
    const isSecond = info.class_id === runnerUp;
    const title = isCurrent ? "Confirm this label" : isSecond ? "The class with the second most votes" : info.name;
    return h(
      "button",
      {
        ...optionProperties,
        id: `${this.id}-${info.class_id}`,
        class: `chip${isCurrent ? " current" : ""}${isSecond ? " second" : ""}`,
        title,
        on: { click: () => this.#chooseKnown(info) },
      },
      swatch(info.color),
      h("span", { class: "name" }, info.name),
      isCurrent ? icon("check") : null,
      number <= 10 ? h("kbd", { "aria-hidden": "true" }, number % 10) : null,
    );
  }

  /** A button that makes a class. @param {string} name */
  #new(name) {
    return h(
      "button",
      {
        ...optionProperties,
        id: `${this.id}-new`,
        class: "chip new",
        on: { click: () => this.options.choose({ class_name: name }, name) },
      },
      icon("plus"),
      h("span", { class: "name" }, `New class “${name}”`),
    );
  }

  /** @param {ClassInfo} info */
  #chooseKnown(info) {
    this.options.choose({ class_id: info.class_id }, info.name);
  }

  /** Highlight a choice. @param {number} index -1: none */
  #activate(index) {
    this.active = Math.min(index, this.choices.length - 1);
    this.choices.forEach((choice, n) => choice.setAttribute("aria-selected", String(n === this.active)));
    if (this.active >= 0) this.field.setAttribute("aria-activedescendant", this.choices[this.active].id);
    else this.field.removeAttribute("aria-activedescendant");
    this.choices[this.active]?.scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const count = this.choices.length;
    const empty = !this.field.value;
    if (event.key === "ArrowDown" || (event.key === "ArrowRight" && empty)) this.#activate((this.active + 1) % count);
    else if (event.key === "ArrowUp" || (event.key === "ArrowLeft" && empty))
      this.#activate((Math.max(this.active, 0) - 1 + count) % count);
    else if (event.key === "Enter" && this.active >= 0) this.choices[this.active].click();
    else if (event.key === "Escape" && !empty) {
      this.field.value = "";
      this.#render();
      event.stopPropagation();
    } else return;
    event.preventDefault();
  }
}

const optionProperties = { type: "button", role: "option", tabIndex: -1, "aria-selected": "false" };
