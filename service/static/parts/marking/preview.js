/** What marks would change, asked of the service before they are applied. */

import * as api from "../../lib/api.js";
import { Emitter } from "../../lib/emitter.js";
import { isCancelled } from "../../lib/http.js";

/** @typedef {import("../../lib/types.js").MarksPreview} MarksPreview */

const PAUSE_MS = 40; // after the last mark
const ELSEWHERE = 8; // other images that are looked at

/**
 * Emits "changed" when `result`, `error` or `isPending` has changed.
 * @extends {Emitter<{changed: null}>}
 */
export class Preview extends Emitter {
  constructor() {
    super();
    /** @type {MarksPreview|null} of the marks that were asked about last and answered */
    this.result = null;
    /** @type {unknown} why there is no result; null: nothing went wrong */
    this.error = null;
    this.isPending = false;
    this.timer = 0;
    this.running = new AbortController();
  }

  /** Ask about marks; an earlier question is dropped. @param {string} segmentationId @param {api.MarksBody} marks */
  ask(segmentationId, marks) {
    this.#stop();
    this.isPending = true;
    this.timer = setTimeout(() => this.#ask(segmentationId, marks, this.running), PAUSE_MS);
    this.emit("changed", null);
  }

  /** There are no marks, or others than before. */
  clear() {
    this.#stop();
    this.result = this.error = null;
    this.isPending = false;
    this.emit("changed", null);
  }

  /** @param {string} segmentationId @param {api.MarksBody} marks @param {AbortController} running */
  async #ask(segmentationId, marks, running) {
    try {
      const result = await api.preview(segmentationId, marks, ELSEWHERE, running.signal);
      if (running !== this.running) return;
      this.result = result;
      this.error = null;
    } catch (error) {
      if (isCancelled(error) || running !== this.running) return;
      this.result = null;
      this.error = error;
    }
    this.isPending = false;
    this.emit("changed", null);
  }

  #stop() {
    clearTimeout(this.timer);
    this.running.abort();
    this.running = new AbortController();
  }
}
