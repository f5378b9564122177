/** The ways to give the page an image: drop, paste, file dialog, example. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { Emitter } from "../lib/emitter.js";
import { droppedFiles } from "../lib/dropped_files.js";
import { describe, isCancelled } from "../lib/http.js";
import { icon } from "../lib/icons.js";
import { teachMe } from "./teach_me.js";

const ACCEPTED = "image/*,.tif,.tiff,.jp2,.j2k,.avif,.heic,.heif,.pgm,.ppm,.pnm";

/**
 * Emits "files" with an image that the user gave, and "batch" with several files or those of a folder.
 * @extends {Emitter<{files: File[], batch: File[]}>}
 */
export class ImageInput extends Emitter {
  constructor() {
    super();
    this.input = h("input", {
      type: "file",
      accept: ACCEPTED,
      multiple: true,
      class: "unseen",
      tabIndex: -1,
      "aria-label": "Images to segment",
      on: { change: () => this.#chosen() },
    });
    this.fault = h("div", { class: "refusal", role: "alert", hidden: true });
    this.example = button({ class: "large", on: { click: () => this.#useExample() } }, icon("image"), "Try an example");
    this.lead = h("div", { class: "welcome-lead" }, ...LEAD());
    this.welcome = h("div", { class: "welcome" }, this.#welcomeCard());
    this.dropHint = h(
      "div",
      { class: "veil", "aria-hidden": "true" },
      h("div", {}, icon("upload"), "Drop images or a folder to segment them"),
    );
    this.#listen();
  }

  /** Open the file dialog. */
  open() {
    this.input.click();
  }

  /** Say what the release can do. @param {boolean} untaught whether it has no exemplars @param {boolean} hasClasses */
  introduce(untaught, hasClasses) {
    const advice = "Choose images, name what you see in one of them, and paint a stroke over it.";
    this.lead.replaceChildren(...(untaught ? teachMe(hasClasses, advice) : LEAD()));
    this.example.hidden = untaught; // its image would be that of an exemplar
  }

  /** Show why an image was refused. @param {unknown} error @param {string} name of the file */
  showProblem(error, name) {
    if (isCancelled(error)) return;
    const { message, advice } = describe(error);
    this.fault.replaceChildren(
      icon("alert"),
      h("div", {}, h("strong", {}, name ? `${name}: ${message}` : message), h("p", {}, advice)),
    );
    this.fault.hidden = false;
  }

  clearProblem() {
    this.fault.hidden = true;
  }

  #welcomeCard() {
    const tiles = Array.from({ length: 12 }, () => h("span"));
    return h(
      "div",
      { class: "welcome-card" },
      h("div", { class: "welcome-art", "aria-hidden": "true" }, ...tiles),
      this.lead,
      this.fault,
      h(
        "div",
        { class: "welcome-actions" },
        button({ class: "primary large", on: { click: () => this.open() } }, icon("upload"), "Choose images"),
        this.example,
      ),
      h("p", { class: "fine" }, "You can also drop images or a folder here, or paste an image. JPEG, PNG, WebP, AVIF, TIFF, JPEG 2000, BMP, GIF or PNM."),
    );
  }

  #chosen() {
    this.#take([...(this.input.files ?? [])]);
    this.input.value = "";
  }

  /** @param {File[]} files @param {boolean} [many] whether they go to the queue even if there is one alone */
  #take(files, many = files.length > 1) {
    if (!files.length) return;
    this.clearProblem();
    this.emit(many || location.hash.startsWith("#/images") ? "batch" : "files", files);
  }

  /** Segment an image of the release, chosen at random. */
  async #useExample() {
    this.example.disabled = true;
    try {
      const answer = await fetch(await exampleUrl());
      const content = await answer.blob();
      this.#take([new File([content], "example", { type: content.type })]);
    } catch (error) {
      this.showProblem(error, "");
    } finally {
      this.example.disabled = false;
    }
  }

  #listen() {
    let depth = 0; // dragenter and dragleave come for every element under the pointer
    const enter = (/** @type {number} */ now) => {
      depth = Math.max(now, 0);
      this.dropHint.classList.toggle("on", depth > 0);
    };
    addEventListener("dragenter", (event) => hasFiles(event) && enter(depth + 1));
    addEventListener("dragleave", (event) => hasFiles(event) && enter(depth - 1));
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      enter(0);
      if (event.dataTransfer)
        droppedFiles(event.dataTransfer).then(({ files, hasFolder }) => this.#take(files, hasFolder || files.length > 1));
    });
    addEventListener("paste", (event) => this.#take([...(event.clipboardData?.files ?? [])]));
  }
}

/** What a release with exemplars can do. */
const LEAD = () => [
  h("h2", {}, "Segment an image and see the reason for each label"),
  h(
    "p",
    {},
    "Labelled examples vote on the label of each segment. Click a segment to see its examples. " +
      "If the label is wrong, choose the right one: similar segments in later images get it too.",
  ),
];

/** @param {DragEvent} event */
const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

/** The address of an image that exemplars of the release are from. */
async function exampleUrl() {
  const one = { limit: "1" };
  const { total } = await api.listExemplars(new URLSearchParams(one));
  if (!total) throw new Error("This release has no example images.");
  const offset = String(Math.floor(Math.random() * total));
  const { exemplars } = await api.listExemplars(new URLSearchParams({ ...one, offset }));
  return exemplars[0].image_url;
}
