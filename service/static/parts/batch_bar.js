/** The state of the queue of images: how many are done, and buttons to pause, continue and cancel. */

import { button, h } from "../lib/dom.js";
import { counted } from "../lib/format.js";

/** @typedef {import("../lib/batch.js").Batch} Batch */

const TICK_MS = 1000;

export class BatchBar {
  /** @param {Batch} batch */
  constructor(batch) {
    this.batch = batch;
    this.text = h("strong", {});
    this.more = h("span", { class: "fine" });
    this.track = h("progress", { "aria-label": "Segmented images", max: 1, value: 0 });
    this.pause = button({ class: "small", on: { click: () => (batch.paused ? batch.resume() : batch.pause()) } }, "Pause");
    this.again = button({ class: "small", on: { click: () => batch.retry(this.#failed) } }, "Try again");
    this.cancel = button({ class: "small", on: { click: () => batch.cancel() } }, "Cancel");
    this.clear = button({ class: "small", on: { click: () => batch.forget([...batch.items]) } }, "Dismiss");
    this.element = h(
      "section",
      { class: "batch-bar", "aria-label": "Queue", hidden: true },
      h("div", { class: "batch-text", role: "status" }, this.text, this.more),
      this.track,
      h("div", { class: "batch-actions" }, this.again, this.pause, this.cancel, this.clear),
    );
    for (const event of /** @type {const} */ (["changed", "answered", "ended"])) batch.on(event, () => this.#show());
    setInterval(() => batch.hold && this.#show(), TICK_MS);
  }

  get #failed() {
    return this.batch.items.filter((one) => one.state === "failed");
  }

  #show() {
    const { batch } = this;
    const { items, isActive } = batch;
    const [done, failed] = [batch.count("answered"), batch.count("failed")];
    this.element.hidden = !items.length || (!isActive && !failed);
    setText(this.text, `${done} of ${counted(items.length, "image")} segmented`);
    setText(this.more, [failed ? `${failed} failed` : "", this.#hindrance()].filter(Boolean).join(" · "));
    this.track.value = items.length ? (done + failed) / items.length : 0;
    this.pause.textContent = batch.paused ? "Continue" : "Pause";
    this.pause.hidden = this.cancel.hidden = !isActive;
    this.again.hidden = !failed;
    this.again.textContent = `Try ${failed === 1 ? "the failed one" : `${failed} failed ones`} again`;
    this.clear.hidden = isActive;
  }

  /** Why nothing is sent for now. */
  #hindrance() {
    const { batch } = this;
    if (batch.paused) return batch.running.size ? "pausing after the images that are being segmented" : "paused";
    if (!batch.hold) return "";
    const seconds = Math.max(Math.ceil((batch.hold.until - Date.now()) / 1000), 1);
    const reason = batch.hold.offline ? "The service cannot be reached" : "The service is busy";
    return `${reason}; next try in ${seconds} s`;
  }
}

/** Change a text only if it is another one, so that screen readers do not repeat it. @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
