/** A queue of images that are segmented in the background, two at a time: files, and stored images again. */

import * as api from "./api.js";
import { Emitter } from "./emitter.js";
import { fileNameOf, rememberFileName } from "./file_names.js";
import { timeAgo } from "./format.js";
import { Problem, describe, isCancelled, isUnauthorized } from "./http.js";

/** @typedef {import("./types.js").AnswerSummary} AnswerSummary */
/** @typedef {import("./types.js").NewAnswer} NewAnswer */
/** @typedef {import("./types.js").RelabelledAnswer} RelabelledAnswer */
/** @typedef {"waiting"|"sending"|"segmenting"|"answered"|"failed"} BatchState */
/**
 * @typedef {object} BatchItem one page of one file, or a stored image
 * @property {File|null} file where it lies on the disk; its content is read only while it is sent; null: it is stored
 * @property {string} name
 * @property {number} page from 0
 * @property {BatchState} state
 * @property {number|null} share that is sent, 0..1
 * @property {string} message why it failed
 * @property {number} tries
 * @property {NewAnswer|RelabelledAnswer|null} answer without masks
 * @property {Send} send
 */
/**
 * @callback Send
 * @param {(share: number|null) => void} progress share that is sent, 0..1; null: sent, being segmented
 * @param {AbortSignal} signal
 * @returns {Promise<NewAnswer|RelabelledAnswer>}
 */

const AT_ONCE = 2; // requests
const MOST_TRIES = 8; // of an image, while the service is busy
const LONGEST_PAUSE = 30; // seconds between tries
const LONGEST_WAIT = 600; // seconds that the service may ask to wait, before an image counts as failed
const BUSY = [429, 503, 504];
const OFFLINE = 0; // status of a request without an answer

/**
 * Emits "item" when the state of an item changed, "answered" when it has its answer, "changed" when the queue changed,
 * and "ended" when nothing is left to do.
 * @extends {Emitter<{item: BatchItem, answered: BatchItem, changed: null, ended: null}>}
 */
export class Batch extends Emitter {
  constructor() {
    super();
    /** @type {BatchItem[]} */
    this.items = [];
    this.paused = false;
    this.signedOut = false; // whether it was paused because the service asked for a key
    /** @type {{until: number, offline: boolean}|null} why nothing is sent for now; until: milliseconds */
    this.hold = null;
    this.timer = 0;
    this.running = /** @type {Map<BatchItem, AbortController>} */ (new Map());
    addEventListener("online", () => this.#release());
    addEventListener("beforeunload", (event) => this.isActive && event.preventDefault());
  }

  /** Whether images wait or are being sent. */
  get isActive() {
    return this.running.size > 0 || this.items.some((one) => one.state === "waiting");
  }

  /** @param {BatchState} state */
  count(state) {
    return this.items.filter((one) => one.state === state).length;
  }

  /** Segment files. @param {File[]} files @param {number} [page] */
  add(files, page = 0) {
    return this.#append(files.map((file) => fileItem(file, page)));
  }

  /** Bring the labels of stored images up to date. @param {AnswerSummary[]} images @param {string} served the release */
  update(images, served) {
    return this.#append(images.map((one) => storedItem(one, one.release !== served)));
  }

  /** @param {BatchItem[]} added */
  #append(added) {
    if (!this.isActive) this.items = this.items.filter((one) => one.state === "failed");
    this.items.push(...added);
    this.emit("changed", null);
    this.#fill();
    return added;
  }

  /** Send nothing more for now; what is being sent is finished. */
  pause() {
    this.paused = true;
    this.emit("changed", null);
  }

  resume() {
    this.paused = this.signedOut = false;
    this.#release();
  }

  /** Go on after somebody has signed in again. */
  signedIn() {
    if (this.signedOut) this.resume();
  }

  /** Forget what waits, and stop what is being sent. */
  cancel() {
    const stopped = [...this.running.values()];
    this.items = this.items.filter((one) => one.state === "answered" || one.state === "failed");
    this.running.clear();
    for (const control of stopped) control.abort();
    this.paused = false;
    this.#release();
    this.emit("ended", null);
  }

  /** Try failed images again. @param {BatchItem[]} items */
  retry(items) {
    for (const one of items) {
      one.tries = 0;
      this.#set(one, "waiting");
    }
    this.emit("changed", null);
    this.#fill();
  }

  /** Forget images. @param {BatchItem[]} items failed ones */
  forget(items) {
    this.items = this.items.filter((one) => !items.includes(one));
    this.emit("changed", null);
  }

  #fill() {
    if (this.paused || this.hold) return;
    while (this.running.size < AT_ONCE) {
      const next = this.items.find((one) => one.state === "waiting");
      if (!next) return;
      this.#send(next);
    }
  }

  /** @param {BatchItem} item */
  async #send(item) {
    const control = new AbortController();
    this.running.set(item, control);
    this.#set(item, "sending");
    try {
      if (item.file) refuseOthers(item.file);
      const progress = (/** @type {number|null} */ share) => {
        item.share = share;
        this.#set(item, share === null ? "segmenting" : "sending");
      };
      item.answer = await item.send(progress, control.signal);
      if (item.file) rememberFileName(item.answer.image_id, item.name);
      this.#set(item, "answered");
      this.emit("answered", item);
    } catch (error) {
      if (this.running.get(item) === control) await this.#failed(item, error);
    } finally {
      this.#next(item, control);
    }
  }

  /** @param {BatchItem} item that was sent @param {AbortController} control of its request */
  #next(item, control) {
    if (this.running.get(item) !== control) return; // cancelled
    this.running.delete(item);
    this.emit("changed", null);
    this.#fill();
    if (!this.isActive) this.emit("ended", null);
  }

  /** @param {BatchItem} item @param {unknown} error */
  async #failed(item, error) {
    item.tries += 1;
    const status = error instanceof Problem ? error.status : -1;
    const unreadable = item.file !== null && status === OFFLINE && !(await isReadable(item.file));
    if (isUnauthorized(error)) this.paused = this.signedOut = true;
    const after = error instanceof Problem ? error.retryAfter : null;
    const isSoon = (after ?? 0) <= LONGEST_WAIT;
    const again = (status === OFFLINE && !unreadable) || (BUSY.includes(status) && isSoon && item.tries < MOST_TRIES);
    if (again) this.#wait(status === OFFLINE, after, item.tries);
    const { message, advice } = describe(error);
    item.message = unreadable ? "The file cannot be read any more. Add it again." : `${message} ${advice}`;
    this.#set(item, again || isCancelled(error) || isUnauthorized(error) ? "waiting" : "failed");
  }

  /** Send nothing for a while. @param {boolean} offline @param {number|null} seconds that were asked for @param {number} tries */
  #wait(offline, seconds, tries) {
    const pause = seconds ?? Math.min(2 ** tries, LONGEST_PAUSE);
    const until = Date.now() + pause * 1000;
    if (this.hold && this.hold.until >= until) return;
    this.hold = { until, offline };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#release(), pause * 1000);
  }

  #release() {
    clearTimeout(this.timer);
    this.hold = null;
    this.emit("changed", null);
    this.#fill();
  }

  /** @param {BatchItem} item @param {BatchState} state */
  #set(item, state) {
    item.state = state;
    this.emit("item", item);
  }
}

/** @param {File|null} file @param {string} name @param {number} page @param {Send} send @returns {BatchItem} */
const newItem = (file, name, page, send) => ({
  file, name, page, send, state: "waiting", share: null, message: "", tries: 0, answer: null,
});

/** What one page of a file is called. @param {string} name of the file @param {number} page from 0 */
export const pageName = (name, page) => (name && page ? `${name}, page ${page + 1}` : name);

/** @param {File} file @param {number} page */
function fileItem(file, page) {
  const name = pageName(file.webkitRelativePath || file.name || "image", page);
  return newItem(file, name, page, (progress, signal) => api.segmentInBatch(file, page, progress, signal));
}

/** @param {AnswerSummary} one @param {boolean} again whether it is segmented again */
function storedItem(one, again) {
  const name = fileNameOf(one.image_id) || `Image of ${one.width}×${one.height}, ${timeAgo(one.created)}`;
  return newItem(null, name, one.page, (progress, signal) => {
    progress(null);
    return api.updateLabels(one.segmentation_id, again, signal);
  });
}

/** @param {File} file @throws {Problem} */
function refuseOthers(file) {
  if (file.size === 0) throw new Problem(400, { detail: "The file is empty.", fix: "Choose another file." });
}

/** Whether a file is still where it was, unchanged. @param {File} file */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
