/** The classes there are, and their colours. */

import * as api from "./api.js";

/** @typedef {import("./types.js").ClassInfo} ClassInfo */

/** Announces "changed". */
export class Classes extends EventTarget {
  constructor() {
    super();
    /** @type {ClassInfo[]} */
    this.list = [];
    /** @type {Map<string, string>} those of old answers too */
    this.colors = new Map();
  }

  async refresh() {
    this.list = await api.get("/classes");
    this.learn(this.list);
    this.dispatchEvent(new Event("changed"));
  }

  /** @param {ClassInfo[]} classes of an answer */
  learn(classes) {
    for (const info of classes) this.colors.set(info.name, info.color);
  }

  /** @param {string} name */
  colorOf(name) {
    return this.colors.get(name) ?? "#888888";
  }
}
