/** Who uses the page, and whether they may edit. */

import * as api from "./api.js";
import { Emitter } from "./emitter.js";
import { isUnauthorized, requests } from "./http.js";

/** @typedef {import("./types.js").Caller} Caller */

/**
 * Emits "changed" when somebody has signed in, and "ended" when the session of somebody has ended.
 * @extends {Emitter<{changed: null, ended: null}>}
 */
export class Session extends Emitter {
  constructor() {
    super();
    /** @type {Caller|null} */
    this.caller = null;
    this.ended = false; // whether somebody was signed in, and is asked for the key again
    requests.on("unauthorized", () => this.#end());
  }

  get mayEdit() {
    return this.caller?.role === "curator";
  }

  /** Ask the service who is signed in. Nobody is where it wants a key and has none. */
  async start() {
    try {
      this.#enter(await api.getCaller());
    } catch (error) {
      if (!isUnauthorized(error)) throw error;
    }
  }

  /** @param {string} key @throws {import("./http.js").Problem} status 401 for a key that is not known */
  async signIn(key) {
    const before = this.caller;
    const caller = await api.signIn(key);
    // What is on the page belongs to the one who was signed in before.
    if (before && (before.name !== caller.name || before.role !== caller.role)) location.reload();
    else this.#enter(caller);
  }

  /** Sign out and load the page anew. */
  async signOut() {
    await api.signOut().catch(() => null);
    location.reload();
  }

  #end() {
    if (!this.caller?.keys || this.ended) return;
    this.ended = true;
    this.emit("ended", null);
  }

  /** @param {Caller} caller */
  #enter(caller) {
    this.caller = caller;
    this.ended = false;
    document.body.classList.toggle("reader", !this.mayEdit);
    this.emit("changed", null);
  }
}
