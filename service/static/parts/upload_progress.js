/** The progress of an image: upload, then segmentation; with a button to cancel. */

import { button, h } from "../lib/dom.js";

const TICK_MS = 2000;

export class UploadProgress {
  constructor() {
    this.text = h("span");
    this.line = h("span", { class: "progress-line" });
    const cancel = button({ class: "small", on: { click: () => this.control?.abort() } }, "Cancel");
    this.element = h(
      "div",
      { class: "progress", role: "status", hidden: true },
      h("div", { class: "progress-top" }, this.text, cancel),
      h("div", { class: "progress-track" }, this.line),
    );
    /** @type {AbortController|null} */
    this.control = null;
    this.timer = 0;
    this.name = "";
  }

  /** @param {string} name of the file @returns {AbortSignal} of the button Cancel */
  start(name) {
    this.control = new AbortController();
    this.name = name;
    this.element.hidden = false;
    this.update(0);
    return this.control.signal;
  }

  /** @param {number|null} share that is sent, 0..1; null: all is sent, the service is segmenting */
  update(share) {
    clearInterval(this.timer);
    this.element.classList.toggle("busy", share === null);
    if (share !== null) {
      this.text.textContent = `Sending ${this.name}, ${Math.round(share * 100)} %`;
      this.line.style.setProperty("--v", String(share));
      return;
    }
    const began = Date.now();
    this.text.textContent = "Segmenting the image …";
    this.timer = setInterval(
      () => (this.text.textContent = `Segmenting the image … ${Math.round((Date.now() - began) / 1000)} s`),
      TICK_MS,
    );
  }

  end() {
    clearInterval(this.timer);
    this.element.hidden = true;
    this.control = null;
  }
}
