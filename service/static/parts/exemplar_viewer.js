/** The dialog that shows an exemplar in its whole image. */

import * as api from "../lib/api.js";
import { button, context2d, h } from "../lib/dom.js";
import { iconButton, swatch } from "../lib/elements.js";
import { sourceName } from "../lib/format.js";
import { Photo } from "../lib/photo.js";
import { SegmentationDrawing } from "../lib/segmentation_drawing.js";

/** @typedef {import("../lib/types.js").Exemplar} Exemplar */
/** @typedef {import("../lib/types.js").ExemplarSummary} ExemplarSummary */
/**
 * @typedef {object} Options
 * @property {(name: string) => string} colorOf
 * @property {() => boolean} mayEdit
 * @property {(exemplar: ExemplarSummary) => void} remove
 * @property {(error: unknown) => void} showProblem
 */

const TALLEST = 0.6; // of the window's height

export class ExemplarViewer {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.dialog = h("dialog", { class: "dialog viewer", "aria-labelledby": "viewer-title" });
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
  }

  /** @param {ExemplarSummary} exemplar */
  async open(exemplar) {
    const canvas = h("canvas", {
      class: "viewer-canvas",
      role: "img",
      "aria-label": `An exemplar of ${exemplar.class_name}, outlined in its image`,
    });
    const facts = h("dl", { class: "facts-list" });
    this.dialog.replaceChildren(this.#head(exemplar), canvas, facts, this.#foot(exemplar));
    this.dialog.showModal();
    try {
      const [detail, photo] = await Promise.all([
        api.getExemplar(exemplar.exemplar_id),
        Photo.load(exemplar.image_url),
      ]);
      facts.replaceChildren(...rows(detail));
      draw(canvas, detail, photo, this.options.colorOf(detail.class_name));
    } catch (error) {
      this.dialog.close();
      this.options.showProblem(error);
    }
  }

  /** @param {ExemplarSummary} exemplar */
  #head(exemplar) {
    const { class_name: name } = exemplar;
    return h(
      "div",
      { class: "dialog-head" },
      h("h2", { id: "viewer-title" }, swatch(this.options.colorOf(name)), name),
      iconButton("close", "Close", { on: { click: () => this.dialog.close() } }),
    );
  }

  /** @param {ExemplarSummary} exemplar */
  #foot(exemplar) {
    const remove = () => {
      this.dialog.close();
      this.options.remove(exemplar);
    };
    const allowed = this.options.mayEdit() && !exemplar.removed_in;
    return h(
      "div",
      { class: "dialog-foot" },
      allowed ? button({ class: "danger", on: { click: remove } }, "Remove this exemplar") : null,
    );
  }
}

/** @param {Exemplar} exemplar */
function rows(exemplar) {
  const { source, area, strength, added_in: added, removed_in: removed, author } = exemplar;
  const facts = [
    ["From", sourceName(source)],
    ["Area", `${area.toLocaleString("en")} pixels`],
    ["Vote counts", strength === 1 ? "once" : `${Number(strength.toFixed(1))} times`],
    ["Added", added ? `in edit ${added}${author ? ` by ${author}` : ""}` : "with the release"],
    ["Removed", removed ? `in edit ${removed}` : ""],
  ];
  return facts.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
}

/**
 * Draw the image with the exemplar outlined.
 * @param {HTMLCanvasElement} canvas
 * @param {Exemplar} exemplar
 * @param {Photo|null} photo
 * @param {string} color
 */
function draw(canvas, exemplar, photo, color) {
  const { mask, class_id, class_name: name } = exemplar;
  const [height, width] = mask.size;
  const ratio = devicePixelRatio || 1;
  const scale = Math.min(canvas.clientWidth / width, (innerHeight * TALLEST) / height) * ratio;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.setProperty("aspect-ratio", `${width} / ${height}`);
  const context = context2d(canvas);
  photo?.draw(context, scale, 0, 0, width, height);
  const segments = [{ class_id, known: true, mask }];
  const drawing = new SegmentationDrawing({ width, height, classes: [{ class_id, name, color }], segments });
  const view = { scale, x: 0, y: 0 };
  drawing.paint(context, view, drawing.labelling, { opacity: 0.25, outlines: false, only: null, ratio });
  drawing.mark(context, view, 0, "selected", ratio);
}
