/** The menu to download the labels of an image. */

import * as api from "../lib/api.js";
import { context2d, h } from "../lib/dom.js";
import { labelCanvas, saveBlob, saveCanvas } from "../lib/download.js";
import { namesByAnswer } from "../lib/file_names.js";
import { icon } from "../lib/icons.js";
import { EXPORTS, joinChoice, menu } from "./export_menu.js";

/** @typedef {import("../lib/types.js").Answer} Answer */
/** @typedef {import("./image_view.js").ImageView} ImageView */

const LARGEST = 4096; // pixels a side; larger canvases fail on phones
const THIN_UNTIL = 1200; // pixels; lines get wider on larger images

export class DownloadMenu {
  /**
   * @param {ImageView} view
   * @param {() => Answer|null} answer that is shown
   * @param {(error: unknown) => void} showProblem
   */
  constructor(view, answer, showProblem) {
    this.join = joinChoice();
    this.view = view;
    this.answer = answer;
    this.showProblem = showProblem;
    this.summary = h(
      "summary",
      { class: "tool", title: "Download", "aria-label": "Download" },
      icon("download"),
      h("span", { class: "tool-name" }, "Download"),
    );
    const list = h(
      "div",
      { class: "menu-list" },
      this.#item("Image with labels (PNG)", (answer) => this.#saveImage(answer)),
      this.#item("Labels only (PNG)", (answer) => saveCanvas(labelCanvas(answer), fileName(answer, "labels.png"))),
      this.#item("Segments with masks (JSON)", (answer) => this.#saveJson(answer)),
      this.join.element,
      ...EXPORTS.map(([format, name]) => this.#item(name, (answer) => this.#export(answer, format))),
    );
    this.element = menu(this.summary, list);
  }

  /** @param {string} name @param {(answer: Answer) => void} save */
  #item(name, save) {
    const click = () => {
      this.element.open = false;
      const answer = this.answer();
      if (answer) save(answer);
    };
    return h("button", { type: "button", class: "row-button", on: { click } }, name);
  }

  /** @param {Answer} answer */
  #saveImage(answer) {
    const { drawing, photo, look } = this.view;
    if (!drawing) return;
    const scale = Math.min(1, LARGEST / Math.max(drawing.width, drawing.height));
    const canvas = h("canvas", {
      width: Math.round(drawing.width * scale),
      height: Math.round(drawing.height * scale),
    });
    const context = context2d(canvas);
    photo?.draw(context, scale, 0, 0, drawing.width, drawing.height);
    drawing.hatch = null; // its stripes have the size that the screen needs
    drawing.paint(context, { scale, x: 0, y: 0 }, drawing.labelling, {
      opacity: photo ? look.opacity : 1,
      outlines: look.outlines,
      only: null,
      certainty: look.certainty,
      ratio: Math.max(1, canvas.width / THIN_UNTIL),
    });
    drawing.hatch = null;
    saveCanvas(canvas, fileName(answer, "image.png"));
  }

  /** Save what the service exports. @param {Answer} answer @param {string} format */
  async #export(answer, format) {
    const choice = { format, images: false, single: false, join: this.join.input.checked };
    try {
      const { blob, name } = await api.exportSelection([answer.segmentation_id], namesByAnswer([answer]), choice);
      saveBlob(blob, name);
    } catch (error) {
      this.showProblem(error);
    }
  }

  /** @param {Answer} answer */
  async #saveJson(answer) {
    try {
      const full = await api.getFullSegmentation(answer.segmentation_id);
      saveBlob(new Blob([JSON.stringify(full)], { type: "application/json" }), fileName(answer, "segments.json"));
    } catch (error) {
      this.showProblem(error);
    }
  }
}

/** @param {Answer} answer @param {string} name */
const fileName = (answer, name) => `${answer.segmentation_id.slice(0, 8)}-${name}`;
