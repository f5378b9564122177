/** An exemplar in the whole picture it lies in. */

import * as api from "./api.js";
import { h, iconButton, swatch } from "./dom.js";
import { Photo } from "./photo.js";
import { Scene } from "./scene.js";

/** @typedef {import("./types.js").Exemplar} Exemplar */

/**
 * @typedef {object} ViewerOptions
 * @property {(name: string) => string} colorOf
 * @property {() => boolean} mayEdit
 * @property {(exemplar: Exemplar) => void} remove
 * @property {(error: unknown) => void} problem
 */

export class Viewer {
  /** @param {ViewerOptions} options */
  constructor(options) {
    this.options = options;
    this.dialog = h("dialog", { class: "dialog viewer", "aria-labelledby": "viewer-title" });
    this.dialog.addEventListener(
      "click",
      (/** @type {MouseEvent} */ event) => event.target === this.dialog && this.dialog.close(),
    );
  }

  /** @param {Exemplar} exemplar */
  async open(exemplar) {
    const { colorOf, mayEdit, remove, problem } = this.options;
    const canvas = h("canvas", {
      class: "viewer-canvas",
      role: "img",
      "aria-label": `An exemplar of ${exemplar.class_name}, outlined in its picture`,
    });
    const facts = h("dl", { class: "facts-list" });
    const gone = h(
      "button",
      {
        type: "button",
        class: "button danger",
        on: {
          click: () => {
            this.dialog.close();
            remove(exemplar);
          },
        },
      },
      "Remove this exemplar",
    );
    this.dialog.replaceChildren(
      h(
        "div",
        { class: "dialog-head" },
        h("h2", { id: "viewer-title" }, swatch(colorOf(exemplar.class_name)), exemplar.class_name),
        iconButton("close", "Close", { on: { click: () => this.dialog.close() } }),
      ),
      canvas,
      facts,
      h("div", { class: "dialog-foot" }, mayEdit() && !exemplar.removed_in ? gone : null),
    );
    this.dialog.showModal();
    try {
      const [told, photo] = await Promise.all([
        api.get(`/exemplars/${encodeURIComponent(exemplar.exemplar_id)}`),
        Photo.from(exemplar.image_url),
      ]);
      this.#facts(facts, told);
      this.#draw(canvas, told, photo, colorOf(told.class_name));
    } catch (error) {
      this.dialog.close();
      problem(error);
    }
  }

  /** @param {HTMLElement} list @param {Exemplar} told */
  #facts(list, told) {
    const rows = [
      ["From", told.source],
      ["Area", `${told.area.toLocaleString("en")} px`],
      ["Counts as", `${told.strength ?? 1}`],
      [
        "Added",
        told.added_in ? `in revision ${told.added_in}${told.author ? ` by ${told.author}` : ""}` : "with the release",
      ],
      ["Removed", told.removed_in ? `in revision ${told.removed_in}` : ""],
      ["Id", told.exemplar_id],
    ];
    list.replaceChildren(
      ...rows.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    );
  }

  /** @param {HTMLCanvasElement} canvas @param {Exemplar} told @param {Photo|null} photo @param {string} color */
  #draw(canvas, told, photo, color) {
    if (!told.mask) return;
    const [height, width] = told.mask.size;
    const ratio = devicePixelRatio || 1;
    const scale = Math.min(canvas.clientWidth / width, (innerHeight * 0.6) / height) * ratio;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.setProperty("aspect-ratio", `${width} / ${height}`);
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    photo?.draw(context, scale, 0, 0, width, height);
    const segment = { ...told, segment_id: told.exemplar_id, confidence: 1, known: true, mask: told.mask };
    const scene = new Scene({
      segmentation_id: "",
      width,
      height,
      release: "",
      index_revision: 0,
      classes: [{ class_id: told.class_id, name: told.class_name, color }],
      segments: [segment],
    });
    const view = { scale, x: 0, y: 0 };
    scene.paint(context, view, scene.labelling, { opacity: 0.25, outlines: false, only: null, ratio });
    scene.mark(context, view, 0, "selected", ratio);
  }
}
