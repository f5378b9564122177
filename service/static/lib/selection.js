/** Exemplars that a person has selected in a list: one by one, a range with Shift, or all. */

import { h } from "./dom.js";
import { Emitter } from "./emitter.js";

/** @typedef {import("./types.js").ExemplarSummary} ExemplarSummary */
/** @typedef {{exemplar: ExemplarSummary, box: HTMLInputElement}} Selectable */

/**
 * Emits "changed" after every change.
 * @extends {Emitter<{changed: null}>}
 */
export class Selection extends Emitter {
  constructor() {
    super();
    /** @type {Map<string, Selectable>} what can be selected, in the order of the list */
    this.listed = new Map();
    /** @type {string|null} where a range begins */
    this.anchor = null;
  }

  /** The selected exemplars, in the order of the list. */
  get chosen() {
    return [...this.listed.values()].filter(({ box }) => box.checked).map(({ exemplar }) => exemplar);
  }

  /** Forget the list, because another one is shown. */
  clear() {
    this.listed.clear();
    this.anchor = null;
    this.emit("changed", null);
  }

  /**
   * Make the checkbox of an exemplar, in an area that a finger can hit. Call it in the order of the list.
   * @param {ExemplarSummary} exemplar
   */
  box(exemplar) {
    const box = h("input", {
      type: "checkbox",
      class: "card-pick",
      "aria-label": `Select this exemplar of ${exemplar.class_name}`,
      title: "Select. With Shift: select all up to here.",
      on: { click: (event) => this.#click(exemplar.exemplar_id, event.shiftKey) },
    });
    this.listed.set(exemplar.exemplar_id, { exemplar, box });
    return h("label", { class: "card-pick-area" }, box);
  }

  /** Select some exemplars of the list, or not. @param {Iterable<string>} ids @param {boolean} selected */
  set(ids, selected) {
    for (const id of ids) {
      const one = this.listed.get(id);
      if (one) one.box.checked = selected;
    }
    this.#changed();
  }

  /** Select all that are listed, or none. @param {boolean} selected */
  setAll(selected) {
    this.set(this.listed.keys(), selected);
  }

  /** @param {string} id @param {boolean} range */
  #click(id, range) {
    const ids = [...this.listed.keys()];
    const [from, to] = [ids.indexOf(this.anchor ?? id), ids.indexOf(id)];
    const checked = this.listed.get(id)?.box.checked ?? false;
    this.anchor = id;
    if (range && from >= 0) this.set(ids.slice(Math.min(from, to), Math.max(from, to) + 1), checked);
    else this.#changed();
  }

  #changed() {
    for (const { box } of this.listed.values()) box.closest("[data-exemplar]")?.classList.toggle("picked", box.checked);
    this.emit("changed", null);
  }
}
