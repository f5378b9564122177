/** The releases of the service, and which one of them is served. */

import * as api from "./api.js";
import { Emitter } from "./emitter.js";

/** @typedef {import("./types.js").ActivatedRelease} ActivatedRelease */
/** @typedef {import("./types.js").ReleaseSummary} ReleaseSummary */

/**
 * Emits "changed" after the list has been loaded anew, and "served" when another release is served.
 * @extends {Emitter<{changed: null, served: string}>}
 */
export class Releases extends Emitter {
  /** @param {import("./classes.js").Classes} classes of the served release */
  constructor(classes) {
    super();
    this.classes = classes;
    /** @type {ReleaseSummary[]} */
    this.list = [];
  }

  /** The release that is served; null until the list has been loaded. */
  get served() {
    return this.list.find((one) => one.active) ?? null;
  }

  async refresh() {
    this.list = await api.listReleases();
    this.emit("changed", null);
  }

  /** Serve a release. @param {string} name @returns {Promise<ActivatedRelease>} */
  async activate(name) {
    const done = await api.activateRelease(name);
    await this.#servedNow(name);
    return done;
  }

  /** Load everything anew after edits of earlier releases were made on the served one. */
  async carried() {
    await Promise.all([this.classes.refresh(), this.refresh()]);
  }

  /**
   * Make an empty release and serve it.
   * @param {string} name
   * @param {string} features release whose features it uses
   */
  async start(name, features = "general") {
    await api.makeRelease(name, features);
    return this.activate(name);
  }

  /** Serve the new release of a job, with the edits made meanwhile. @param {string} jobId @param {string} name */
  async accept(jobId, name) {
    const done = await api.acceptJob(jobId);
    await this.#servedNow(name);
    return done;
  }

  /** Load everything anew after another release was served. @param {string} name */
  async #servedNow(name) {
    await Promise.all([this.classes.refresh(), this.refresh()]);
    this.emit("served", name);
  }
}
