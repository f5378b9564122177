/** The classes to mark with: a bar of buttons, and a field that finds a class or names a new one. */

import { h } from "../../lib/dom.js";
import { swatch } from "../../lib/elements.js";
import { Emitter } from "../../lib/emitter.js";
import { icon } from "../../lib/icons.js";
import { mostDistinctColor } from "../../lib/oklab.js";
import { addArrowKeys, showChosen } from "./choices.js";

/** @typedef {import("./marks.js").MarkClass} MarkClass */

const DIGITS = 9; // classes with a key of their own

/** A name without case and in one Unicode form: names that are equal so are one name. @param {string} name */
const folded = (name) => name.normalize("NFC").trim().toLowerCase();

/**
 * Emits "choose" with a class.
 * @extends {Emitter<{choose: MarkClass}>}
 */
export class Palette extends Emitter {
  constructor() {
    super();
    /** @type {MarkClass[]} those of the service, then new ones that only marks name */
    this.classes = [];
    /** @type {MarkClass|null} */
    this.current = null;
    /** @type {HTMLButtonElement[]} */
    this.buttons = [];
    this.field = h("input", {
      type: "text",
      class: "palette-field",
      placeholder: "Find or name a class",
      "aria-label": "Find a class, or name a new one",
      maxLength: 60,
      autocomplete: "off",
      spellcheck: false,
      on: { input: () => this.#render(), keydown: (event) => this.#key(event), blur: () => this.#stopAsking() },
    });
    this.chips = h("div", { class: "palette-chips", "aria-label": "Class to mark with" });
    addArrowKeys(this.chips, () => this.buttons);
    this.question = h("p", { class: "palette-question", role: "status", hidden: true });
    this.element = h("div", { class: "palette editing" }, this.field, this.question, this.chips);
  }

  /** @param {MarkClass[]} classes */
  show(classes) {
    const { current } = this;
    this.classes = classes;
    if (current) this.current = classes.find((one) => folded(one.name) === folded(current.name)) ?? null;
    this.#render();
  }

  /** Choose a class by its number. @param {number} number 1..9 @returns {MarkClass|null} */
  numbered(number) {
    return (number <= DIGITS && this.classes[number - 1]) || null;
  }

  /** @param {MarkClass|null} current */
  select(current) {
    this.current = current;
    this.#render();
    this.buttons.find((one) => one.getAttribute("aria-checked") === "true")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Ask for the class of what was drawn or selected. @param {string} question */
  ask(question) {
    this.question.textContent = question;
    this.question.hidden = false;
    if (!this.classes.length) this.field.focus(); // else a number or a click chooses one
  }

  /** The class that a name means; a new one gets a colour unlike all others. @param {string} name @returns {MarkClass} */
  named(name) {
    const known = this.classes.find((one) => folded(one.name) === folded(name));
    const color = () => mostDistinctColor(this.classes.map((one) => one.color));
    return known ?? { class_id: null, name: name.normalize("NFC").trim(), color: color() };
  }

  /** @param {MarkClass} chosen */
  choose(chosen) {
    this.field.value = "";
    this.#stopAsking();
    if (!this.classes.includes(chosen)) this.classes = [...this.classes, chosen];
    this.select(chosen);
    this.emit("choose", chosen);
  }

  #stopAsking() {
    this.question.hidden = true;
  }

  #render() {
    const text = folded(this.field.value);
    const found = this.classes.filter((one) => folded(one.name).includes(text));
    found.sort((a, b) => (text ? Number(folded(b.name) === text) - Number(folded(a.name) === text) : 0));
    const isNew = text !== "" && !this.classes.some((one) => folded(one.name) === text);
    this.buttons = found.map((one) => this.#chip(one));
    if (isNew) this.buttons.push(this.#newChip(this.named(this.field.value)));
    showChosen(this.buttons, text ? 0 : found.findIndex((one) => one === this.current));
    this.chips.replaceChildren(...this.buttons);
  }

  /** @param {MarkClass} one */
  #chip(one) {
    const number = this.classes.indexOf(one) + 1;
    return h(
      "button",
      { type: "button", class: "palette-chip", role: "radio", title: one.name, on: { click: () => this.choose(one) } },
      swatch(one.color),
      h("span", { class: "name" }, one.name),
      number <= DIGITS ? h("kbd", { "aria-hidden": "true" }, number) : null,
    );
  }

  /** @param {MarkClass} one */
  #newChip(one) {
    return h(
      "button",
      { type: "button", class: "palette-chip new", role: "radio", on: { click: () => this.choose(one) } },
      icon("plus"),
      swatch(one.color),
      h("span", { class: "name" }, `New class “${one.name}”`),
    );
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Enter" && this.field.value.trim()) this.buttons[0]?.click();
    else if (event.key === "Escape" && this.field.value) {
      this.field.value = "";
      this.#render();
      event.stopPropagation();
    } else if (event.key === "ArrowDown") this.buttons.find((one) => one.tabIndex === 0)?.focus();
    else return;
    event.preventDefault();
  }
}
