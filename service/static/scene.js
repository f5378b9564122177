/** What a segmented picture looks like: its labels' shapes, and how they are painted. */

import { contours } from "./contours.js";
import { Grid } from "./grid.js";

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./photo.js").Photo} Photo */
/** @typedef {{scale: number, x: number, y: number}} View where the picture lies on the canvas, in its pixels */
/** @typedef {{classes: Path2D[], colors: string[], names: number[], unknown: Path2D}} Labelling */

/** The shapes of one answer. Relabelling keeps the segments and changes the labelling alone. */
export class Scene {
  /** @param {Answer} answer */
  constructor(answer) {
    this.width = answer.width;
    this.height = answer.height;
    this.grid = Grid.of(answer.segments, answer.width, answer.height);
    const paths = this.#contours(this.grid.labels);
    this.outlines = answer.segments.map((_, n) => paths.get(n) ?? new Path2D());
    this.all = new Path2D();
    for (const outline of this.outlines) this.all.addPath(outline);
    this.labelling = this.label(answer);
    /** @type {CanvasPattern|null} */
    this.hatch = null;
  }

  /** A picture whose labels are not known yet. @param {number} width @param {number} height */
  static blank(width, height) {
    const nothing = { segmentation_id: "", release: "", index_revision: 0, classes: [], segments: [] };
    return new Scene({ ...nothing, width, height });
  }

  /** Whether an answer is of the same segments. @param {Answer} answer */
  fits(answer) {
    return (
      answer.segments.length === this.outlines.length && answer.width === this.width && answer.height === this.height
    );
  }

  /** How an answer labels the segments. @param {Answer} answer @returns {Labelling} */
  label(answer) {
    const names = answer.segments.map((segment) => segment.class_id);
    const paths = this.#contours(this.grid.mapped(names));
    const colors = new Map(answer.classes.map((info) => [info.class_id, info.color]));
    const unknown = new Path2D();
    answer.segments.forEach((segment, n) => segment.known || unknown.addPath(this.outlines[n]));
    const ids = [...paths.keys()];
    return {
      classes: ids.map((id) => /** @type {Path2D} */ (paths.get(id))),
      colors: ids.map((id) => colors.get(id) ?? "#888888"),
      names: ids,
      unknown,
    };
  }

  /** @param {Uint16Array} labels */
  #contours(labels) {
    const { step, columns, rows } = this.grid;
    return contours(labels, columns, rows, (x, y) => [Math.min(x * step, this.width), Math.min(y * step, this.height)]);
  }

  /**
   * Paint the labels over the photograph.
   * @param {CanvasRenderingContext2D} context
   * @param {View} view
   * @param {Labelling} labelling
   * @param {{opacity: number, outlines: boolean, only: number|null, ratio: number}} look only: the class that stands out
   */
  paint(context, view, labelling, look) {
    context.save();
    context.setTransform(view.scale, 0, 0, view.scale, view.x, view.y);
    labelling.classes.forEach((path, n) => {
      const faded = look.only !== null && labelling.names[n] !== look.only;
      context.globalAlpha = faded
        ? look.opacity * 0.15
        : look.only === null
          ? look.opacity
          : Math.max(look.opacity, 0.6);
      context.fillStyle = labelling.colors[n];
      context.fill(path);
    });
    context.globalAlpha = Math.min(1, look.opacity * 1.4);
    this.#hatch(context, view, labelling.unknown, look.ratio);
    if (look.outlines) this.#outline(context, view, labelling, look.ratio);
    context.restore();
  }

  /** @param {CanvasRenderingContext2D} context @param {View} view @param {Labelling} labelling @param {number} ratio */
  #outline(context, view, labelling, ratio) {
    context.lineJoin = "round";
    context.globalAlpha = 0.4;
    context.strokeStyle = "#000";
    context.lineWidth = ratio / view.scale;
    context.stroke(this.all);
    context.globalAlpha = 0.95;
    context.strokeStyle = "#fff";
    context.lineWidth = (1.4 * ratio) / view.scale;
    for (const path of labelling.classes) context.stroke(path);
  }

  /**
   * Hatched: too unlike the exemplars to be known.
   * @param {CanvasRenderingContext2D} context
   * @param {View} view
   * @param {Path2D} path
   * @param {number} ratio
   */
  #hatch(context, view, path, ratio) {
    this.hatch ??= context.createPattern(stripes(ratio), "repeat");
    if (!this.hatch) return;
    this.hatch.setTransform(new DOMMatrix([1 / view.scale, 0, 0, 1 / view.scale, 0, 0]));
    context.fillStyle = this.hatch;
    context.fill(path);
  }

  /**
   * Point a segment out.
   * @param {CanvasRenderingContext2D} context
   * @param {View} view
   * @param {number} segment
   * @param {"hover"|"active"|"selected"|"changed"} as
   * @param {number} ratio device pixels to a pixel of the page
   * @param {Photo|null} [photo] to be seen clear in a selected segment
   */
  mark(context, view, segment, as, ratio, photo = null) {
    const path = this.outlines[segment];
    if (!path) return;
    context.save();
    context.setTransform(view.scale, 0, 0, view.scale, view.x, view.y);
    context.lineJoin = "round";
    if (as === "selected") this.#reveal(context, view, path, photo);
    if (as === "hover" || as === "active") {
      context.fillStyle = "rgb(255 255 255 / 0.22)";
      context.fill(path);
    }
    if (as === "changed") context.setLineDash([(6 * ratio) / view.scale, (4 * ratio) / view.scale]);
    for (const [color, width] of /** @type {[string, number][]} */ ([
      ["rgb(0 0 0 / 0.75)", as === "hover" ? 4 : 5],
      [as === "changed" ? "#ffe14d" : "#fff", as === "hover" ? 2 : 2.5],
    ])) {
      context.strokeStyle = color;
      context.lineWidth = (width * ratio) / view.scale;
      context.stroke(path);
    }
    context.restore();
  }

  /** @param {CanvasRenderingContext2D} context @param {View} view @param {Path2D} path @param {Photo|null} photo */
  #reveal(context, view, path, photo) {
    if (photo) {
      context.save();
      context.clip(path, "evenodd");
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.globalAlpha = 0.75;
      photo.draw(context, view.scale, view.x, view.y, this.width, this.height);
      context.restore();
    }
    const others = new Path2D();
    others.rect(0, 0, this.width, this.height);
    others.addPath(path);
    context.fillStyle = "rgb(8 10 12 / 0.4)";
    context.fill(others, "evenodd");
  }
}

/** @param {number} ratio @returns {HTMLCanvasElement} */
function stripes(ratio) {
  const side = Math.round(8 * ratio);
  const tile = document.createElement("canvas");
  tile.width = tile.height = side;
  const context = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
  for (const [color, shift] of /** @type {[string, number][]} */ ([
    ["rgb(255 255 255 / 0.6)", 0],
    ["rgb(0 0 0 / 0.45)", side / 4],
  ])) {
    context.strokeStyle = color;
    context.lineWidth = side / 8;
    for (let x = -side; x <= 2 * side; x += side) {
      context.beginPath();
      context.moveTo(x + shift, side + 1);
      context.lineTo(x + shift + side + 2, -1);
      context.stroke();
    }
  }
  return tile;
}
