/** The classes of the service and their colours. */

import * as api from "./api.js";
import { Emitter } from "./emitter.js";

/** @typedef {import("./types.js").ClassInfo} ClassInfo */
/** @typedef {import("./types.js").OfferedClass} OfferedClass */

export const UNKNOWN_COLOR = "#888888";
/** In place of the class id of segments without a class. */
export const NO_CLASS = -1;

/**
 * Emits "changed" after the classes have been loaded anew.
 * @extends {Emitter<{changed: null}>}
 */
export class Classes extends Emitter {
  constructor() {
    super();
    /** @type {OfferedClass[]} */
    this.list = [];
    /** @type {Map<string, string>} also of classes that only older answers name */
    this.colors = new Map();
  }

  async refresh() {
    this.list = await api.listClasses();
    this.addColors(this.list);
    this.emit("changed", null);
  }

  /** @param {ClassInfo[]} classes of an answer */
  addColors(classes) {
    for (const info of classes) this.colors.set(info.name, info.color);
  }

  /** @param {string|null} name null: no class */
  colorOf(name) {
    return this.colors.get(name ?? "") ?? UNKNOWN_COLOR;
  }
}
