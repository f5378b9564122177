/** Who uses the page, and whether they may edit. */

import * as api from "./api.js";
import { Emitter } from "./emitter.js";
import { isUnauthorized } from "./http.js";

/** @typedef {import("./types.js").Caller} Caller */

/**
 * Emits "changed" when somebody has signed in.
 * @extends {Emitter<{changed: null}>}
 */
export class Session extends Emitter {
  constructor() {
    super();
    /** @type {Caller|null} */
    this.caller = null;
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
    this.#enter(await api.signIn(key));
  }

  /** Sign out and load the page anew. */
  async signOut() {
    await api.signOut().catch(() => null);
    location.reload();
  }

  /** @param {Caller} caller */
  #enter(caller) {
    this.caller = caller;
    document.body.classList.toggle("reader", !this.mayEdit);
    this.emit("changed", null);
  }
}
