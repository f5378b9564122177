/** How a picture gets in: dropped, pasted, picked, or painted; and how far it is. */

import * as api from "./api.js";
import { h, icon } from "./dom.js";

const ACCEPTED = "image/jpeg,image/png,image/webp,image/tiff,image/bmp,image/gif";
const OTHERS = /^(video|audio|text|font)\/|^application\/(pdf|zip|json|msword|vnd)/;

/**
 * Announces "files" with pictures in `detail`.
 */
export class Intake extends EventTarget {
  constructor() {
    super();
    this.input = h("input", {
      type: "file",
      accept: ACCEPTED,
      multiple: true,
      class: "unseen",
      tabIndex: -1,
      "aria-label": "Pictures to segment",
      on: {
        change: () => {
          this.#take(this.input.files);
          this.input.value = "";
        },
      },
    });
    this.fault = h("div", { class: "refusal", role: "alert", hidden: true });
    this.pick = h(
      "button",
      { type: "button", class: "button primary large", on: { click: () => this.open() } },
      icon("upload"),
      "Choose a picture",
    );
    this.sample = h(
      "button",
      { type: "button", class: "button large", on: { click: () => this.#sample() } },
      icon("picture"),
      "Try a painted street",
    );
    this.welcome = h(
      "div",
      { class: "welcome" },
      h(
        "div",
        { class: "welcome-card" },
        h("div", { class: "welcome-art", "aria-hidden": "true" }, ...Array.from({ length: 12 }, () => h("span"))),
        h("h2", { class: "welcome-title" }, "Segment a picture, and ask why"),
        h(
          "p",
          {},
          "Each label is the vote of labelled examples. Click a segment to see them; fix a wrong one, and every picture after it is labelled by what you said.",
        ),
        this.fault,
        h("div", { class: "welcome-actions" }, this.pick, this.sample),
        h("p", { class: "fine" }, "Drop it anywhere, or paste it. JPEG, PNG, WebP, TIFF, BMP or GIF."),
      ),
    );
    this.veil = h("div", { class: "veil", "aria-hidden": "true" }, h("div", {}, icon("upload"), "Drop to segment"));
    this.#listen();
  }

  open() {
    this.input.click();
  }

  /** Say why a file was refused. @param {unknown} error @param {string} name of the file */
  refuse(error, name) {
    const problem = /** @type {api.Problem} */ (error);
    if (problem.name === "AbortError") return;
    const received = typeof problem.received === "string" ? `Received: ${problem.received}.` : "";
    this.fault.replaceChildren(
      icon("alert"),
      h(
        "div",
        {},
        h("strong", {}, name ? `${name}: ${problem.message}` : problem.message),
        h("p", {}, [problem.advice, received].filter(Boolean).join(" ")),
      ),
    );
    this.fault.hidden = false;
  }

  clear() {
    this.fault.hidden = true;
  }

  /** @param {FileList|File[]|null} files */
  #take(files) {
    if (!files?.length) return;
    this.clear();
    this.dispatchEvent(new CustomEvent("files", { detail: [...files] }));
  }

  /** A picture that the exemplars come from: something to try without having one at hand. */
  async #sample() {
    this.sample.disabled = true;
    try {
      const some = await api.get(`/exemplars?limit=1&offset=${Math.floor(Math.random() * 400)}`);
      const [one] = some.exemplars.length ? some.exemplars : (await api.get("/exemplars?limit=1")).exemplars;
      const answer = await fetch(one.image_url);
      const content = await answer.blob();
      this.#take([new File([content], "painted street", { type: content.type })]);
    } catch (error) {
      this.refuse(error, "");
    } finally {
      this.sample.disabled = false;
    }
  }

  #listen() {
    let depth = 0;
    const hasFiles = (/** @type {DragEvent} */ event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    addEventListener("dragenter", (event) => {
      if (hasFiles(event)) {
        depth++;
        this.veil.classList.add("on");
      }
    });
    addEventListener("dragleave", (event) => {
      if (hasFiles(event) && --depth <= 0) {
        depth = 0;
        this.veil.classList.remove("on");
      }
    });
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      depth = 0;
      this.veil.classList.remove("on");
      this.#take(event.dataTransfer?.files ?? null);
    });
    addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length) this.#take(files);
    });
  }
}

/** What can be told of a file without sending it. @param {File} file @returns {api.Problem|null} */
export function refusedAtOnce(file) {
  if (file.size === 0) return new api.Problem(400, { detail: "The file is empty.", fix: "Choose another file." });
  if (OTHERS.test(file.type))
    return new api.Problem(415, {
      detail: "This is no picture.",
      received: file.type,
      allowed: "JPEG, PNG, WebP, TIFF, BMP or GIF",
      fix: "Choose a photograph.",
    });
  return null;
}

/** How far a picture is, with a way out. */
export class Progress {
  constructor() {
    this.text = h("span", {});
    this.line = h("span", { class: "progress-line" });
    this.cancel = h(
      "button",
      { type: "button", class: "button small", on: { click: () => this.control?.abort() } },
      "Cancel",
    );
    this.element = h(
      "div",
      { class: "progress", role: "status", hidden: true },
      h("div", { class: "progress-top" }, this.text, this.cancel),
      h("div", { class: "progress-track" }, this.line),
    );
    /** @type {AbortController|null} */
    this.control = null;
    this.timer = 0;
  }

  /** @param {string} name @returns {AbortSignal} */
  start(name) {
    this.control = new AbortController();
    this.name = name;
    this.element.hidden = false;
    this.sent(0);
    return this.control.signal;
  }

  /** @param {number|null} share that is sent; null: all, and the service is at work */
  sent(share) {
    clearInterval(this.timer);
    this.element.classList.toggle("busy", share === null);
    if (share !== null) {
      this.text.textContent = `Sending ${this.name}, ${Math.round(share * 100)} %`;
      this.line.style.setProperty("--v", String(share));
      return;
    }
    const began = Date.now();
    this.text.textContent = "Sorting pixels into segments …";
    this.timer = setInterval(
      () => (this.text.textContent = `Sorting pixels into segments … ${Math.round((Date.now() - began) / 1000)} s`),
      2000,
    );
  }

  end() {
    clearInterval(this.timer);
    this.element.hidden = true;
    this.control = null;
  }
}
