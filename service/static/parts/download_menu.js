/** The menu to download the labels of an image. */

import * as api from "../lib/api.js";
import { context2d, h } from "../lib/dom.js";
import { labelCanvas, saveBlob, saveCanvas } from "../lib/download.js";
import { icon } from "../lib/icons.js";

/** @typedef {import("../lib/types.js").Answer} Answer */
/** @typedef {import("./image_view.js").ImageView} ImageView */

const LARGEST = 4096; // pixels a side; larger canvases fail on phones
const THIN_UNTIL = 1200; // pixels; lines get wider on larger images

const EXPORTS = [
  ["coco", "For COCO (JSON)"],
  ["label-studio", "For Label Studio (JSON)"],
  ["cvat", "For CVAT (XML)"],
  ["labelme", "For labelme (JSON)"],
  ["yolo", "For YOLO (ZIP)"],
  ["geojson", "Outlines (GeoJSON)"],
  ["csv", "Areas of the classes (CSV)"],
]; // formats of the service, and what the menu calls them

export class DownloadMenu {
  /**
   * @param {ImageView} view
   * @param {() => Answer|null} answer that is shown
   * @param {(error: unknown) => void} showProblem
   */
  constructor(view, answer, showProblem) {
    this.view = view;
    this.answer = answer;
    this.showProblem = showProblem;
    this.summary = h(
      "summary",
      { class: "tool", title: "Download", "aria-label": "Download" },
      icon("download"),
      h("span", { class: "tool-name" }, "Download"),
    );
    this.element = h(
      "details",
      { class: "menu" },
      this.summary,
      h(
        "div",
        { class: "menu-list" },
        this.#item("Image with labels (PNG)", (answer) => this.#saveImage(answer)),
        this.#item("Labels only (PNG)", (answer) => saveCanvas(labelCanvas(answer), fileName(answer, "labels.png"))),
        this.#item("Segments with masks (JSON)", (answer) => this.#saveJson(answer)),
        ...EXPORTS.map(([format, name]) => this.#item(name, (answer) => this.#export(answer, format))),
      ),
    );
    this.#closeWhenLeft();
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

  #closeWhenLeft() {
    this.element.addEventListener("focusout", (event) => {
      if (event.relatedTarget instanceof Node && !this.element.contains(event.relatedTarget)) this.element.open = false;
    });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.element.open) return;
      this.element.open = false;
      this.summary.focus();
      event.stopPropagation();
    });
    addEventListener("pointerdown", (event) => {
      if (event.target instanceof Node && !this.element.contains(event.target)) this.element.open = false;
    });
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
      ratio: Math.max(1, canvas.width / THIN_UNTIL),
    });
    drawing.hatch = null;
    saveCanvas(canvas, fileName(answer, "image.png"));
  }

  /** Let the browser save what the service exports. @param {Answer} answer @param {string} format */
  #export(answer, format) {
    h("a", { href: api.exportUrl(answer.segmentation_id, format), download: "" }).click();
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
