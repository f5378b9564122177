/** Taking an answer away: the picture with its labels, or all that the service said. */

import * as api from "./api.js";
import { h, icon } from "./dom.js";
import { runs } from "./grid.js";

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./stage.js").Stage} Stage */

const LARGEST = 4096; // pixels a side; larger canvases fail on phones

export class Download {
  /** @param {Stage} stage @param {() => Answer|null} answer what is shown */
  constructor(stage, answer) {
    this.stage = stage;
    this.answer = answer;
    const item = (/** @type {string} */ name, /** @type {() => void} */ does) =>
      h("button", { type: "button", class: "row-button", on: { click: () => this.#take(does) } }, name);
    this.element = h(
      "details",
      { class: "menu" },
      h(
        "summary",
        { class: "tool", title: "Download" },
        icon("download"),
        h("span", { class: "tool-name" }, "Download"),
      ),
      h(
        "div",
        { class: "menu-list" },
        item("Picture with labels, PNG", () => this.#picture()),
        item("Labels alone, PNG", () => this.#labels()),
        item("Answer with masks, JSON", () => this.#json()),
      ),
    );
    this.element.addEventListener("focusout", (/** @type {FocusEvent} */ event) => {
      if (event.relatedTarget && !this.element.contains(event.relatedTarget)) this.element.open = false;
    });
    this.element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || !this.element.open) return;
      this.element.open = false;
      this.element.firstElementChild.focus();
      event.stopPropagation();
    });
    addEventListener("pointerdown", (event) => {
      if (!this.element.contains(event.target)) this.element.open = false;
    });
  }

  /** @param {() => void} does */
  #take(does) {
    this.element.open = false;
    does();
  }

  #picture() {
    const { scene, photo, look } = this.stage;
    if (!scene) return;
    const scale = Math.min(1, LARGEST / Math.max(scene.width, scene.height));
    const canvas = h("canvas", { width: Math.round(scene.width * scale), height: Math.round(scene.height * scale) });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    photo?.draw(context, scale, 0, 0, scene.width, scene.height);
    scene.hatch = null; // it is made for the size of the stage
    scene.paint(context, { scale, x: 0, y: 0 }, scene.labelling, {
      opacity: photo ? look.opacity : 1,
      outlines: look.outlines,
      only: null,
      ratio: Math.max(1, canvas.width / 1200),
    });
    scene.hatch = null;
    this.#saveCanvas(canvas, "picture.png");
  }

  /** Each pixel in the very colour of its class. */
  #labels() {
    const answer = this.answer();
    if (!answer) return;
    const canvas = h("canvas", { width: answer.width, height: answer.height });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const image = context.createImageData(answer.width, answer.height);
    const pixels = new DataView(image.data.buffer);
    const colors = new Map(answer.classes.map((info) => [info.class_id, info.color]));
    for (const segment of answer.segments) {
      const color = (Number.parseInt((colors.get(segment.class_id) ?? "#000000").slice(1), 16) * 256 + 255) >>> 0;
      let at = 0;
      runs(segment.mask.counts).forEach((length, turn) => {
        const end = at + length;
        if (turn % 2 === 0) at = end;
        for (; at < end; at++) {
          pixels.setUint32(((at % answer.height) * answer.width + Math.floor(at / answer.height)) * 4, color);
        }
      });
    }
    context.putImageData(image, 0, 0);
    this.#saveCanvas(canvas, "labels.png");
  }

  async #json() {
    const told = await api.get(`/segmentations/${this.answer()?.segmentation_id}`);
    this.#save(new Blob([JSON.stringify(told)], { type: "application/json" }), "segments.json");
  }

  /** @param {HTMLCanvasElement} canvas @param {string} name */
  #saveCanvas(canvas, name) {
    canvas.toBlob((blob) => blob && this.#save(blob, name));
  }

  /** @param {Blob} blob @param {string} name */
  #save(blob, name) {
    const url = URL.createObjectURL(blob);
    h("a", { href: url, download: `${this.answer()?.segmentation_id.slice(0, 8) ?? "segsort"}-${name}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
}
