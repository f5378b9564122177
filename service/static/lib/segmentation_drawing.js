/** Drawing the labels of an image on a canvas. */

import { certaintyColor, certaintyOf, STEPS } from "./certainty.js";
import { NO_CLASS, UNKNOWN_COLOR } from "./classes.js";
import { contours } from "./contours.js";
import { context2d, h } from "./dom.js";
import { LabelGrid } from "./label_grid.js";

/** @typedef {import("./photo.js").Photo} Photo */
/** @typedef {import("./types.js").Segment} Segment */
/** @typedef {import("./types.js").ClassInfo} ClassInfo */
/** @typedef {{width: number, height: number, segments: (Pick<Segment, "class_id"|"known"|"mask"> & Partial<Segment>)[],
 *   classes: ClassInfo[]}} Drawn what is drawn of an answer */
/** @typedef {{scale: number, x: number, y: number}} View position of the image on the canvas, in canvas pixels */
/**
 * @typedef {{path: Path2D, color: string, classId: number}} Area segments that are painted alike
 * @typedef {{areas: Area[], certainties: Area[], unknown: Path2D, untaught: boolean}} Labelling areas: known segments by
 *   class; certainties: known segments by how certain their labels are; unknown: all other segments; untaught: whether
 *   nothing could vote, so that the image is shown as it is
 */
/**
 * @typedef {object} Look
 * @property {number} opacity 0..1
 * @property {boolean} outlines
 * @property {number|null} only the class that is highlighted; NO_CLASS: unknown segments
 * @property {boolean} [certainty] show how certain the labels are instead of the labels
 * @property {number} ratio device pixels to a pixel of the page
 */

const UNKNOWN = 0x7fff; // in place of the class of unknown segments in a grid of classes
const DIMMED = 0.15; // opacity of other classes, relative to the chosen one, while one is highlighted
const SHIELDED = 0.7; // opacity of unknown segments on the map of certainty, relative to the others

/** The shapes of one answer. Relabelling keeps the segments and replaces `labelling`. */
export class SegmentationDrawing {
  /** @param {Drawn} answer */
  constructor(answer) {
    this.width = answer.width;
    this.height = answer.height;
    this.grid = LabelGrid.of(answer.segments, answer.width, answer.height);
    const paths = this.#contours(this.grid.labels);
    this.outlines = answer.segments.map((_, n) => paths.get(n) ?? new Path2D());
    this.all = new Path2D();
    for (const outline of this.outlines) this.all.addPath(outline);
    this.labelling = this.labellingOf(answer);
    /** @type {CanvasPattern|null} */
    this.hatch = null;
  }

  /** An image without labels. @param {number} width @param {number} height */
  static empty(width, height) {
    return new SegmentationDrawing({ width, height, classes: [], segments: [] });
  }

  /** Whether an answer has the same segments. @param {Drawn} answer */
  hasSegmentsOf(answer) {
    return (
      answer.segments.length === this.outlines.length && answer.width === this.width && answer.height === this.height
    );
  }

  /** The labels of an answer. @param {Drawn} answer @returns {Labelling} */
  labellingOf(answer) {
    const colors = new Map(answer.classes.map((info) => [info.class_id, info.color]));
    const codes = answer.segments.map(({ class_id: id, known }) => (known ? (id ?? UNKNOWN) : UNKNOWN));
    const paths = this.#contours(this.grid.classLabels(codes));
    const unknown = paths.get(UNKNOWN) ?? new Path2D();
    paths.delete(UNKNOWN);
    const areas = [...paths].map(([classId, path]) => ({
      path,
      classId,
      color: colors.get(classId) ?? UNKNOWN_COLOR,
    }));
    const untaught = answer.segments.every((one) => one.class_id === null);
    return { areas, certainties: this.#certainties(answer), unknown, untaught };
  }

  /** The known segments by how certain their labels are. @param {Drawn} answer @returns {Area[]} */
  #certainties(answer) {
    const steps = answer.segments.map((segment) => Math.round((certaintyOf(segment) ?? -1) * STEPS));
    return [...new Set(steps.filter((step) => step >= 0))].map((step) => ({
      path: this.#union(steps.map((one) => one === step)),
      classId: NO_CLASS,
      color: certaintyColor(step / STEPS),
    }));
  }

  /** The outlines of the chosen segments. @param {boolean[]} chosen */
  #union(chosen) {
    const union = new Path2D();
    this.outlines.forEach((outline, n) => chosen[n] && union.addPath(outline));
    return union;
  }

  /** @param {Uint16Array} labels */
  #contours(labels) {
    const { step, columns, rows } = this.grid;
    return contours(labels, columns, rows, (x, y) => [Math.min(x * step, this.width), Math.min(y * step, this.height)]);
  }

  /**
   * Paint the labels over the image.
   * @param {CanvasRenderingContext2D} context
   * @param {View} view
   * @param {Labelling} labelling
   * @param {Look} look
   */
  paint(context, view, labelling, look) {
    context.save();
    context.setTransform(view.scale, 0, 0, view.scale, view.x, view.y);
    for (const area of look.certainty ? labelling.certainties : labelling.areas) {
      context.globalAlpha = look.certainty ? look.opacity : opacityOf(area.classId, look);
      context.fillStyle = area.color;
      context.fill(area.path);
    }
    if (!labelling.untaught) this.#unknown(context, view, labelling.unknown, look);
    context.globalAlpha = 1;
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
    for (const area of labelling.areas) context.stroke(area.path);
    context.stroke(labelling.unknown);
  }

  /**
   * Paint the unknown segments: the image in grey with thin stripes, in no colour of a class. On the map of certainty
   * they are light.
   * @param {CanvasRenderingContext2D} context
   * @param {View} view
   * @param {Path2D} path
   * @param {Look} look
   */
  #unknown(context, view, path, look) {
    this.hatch ??= context.createPattern(stripes(look.ratio), "repeat");
    if (!this.hatch) return;
    const opacity = opacityOf(NO_CLASS, look.certainty ? { ...look, only: null } : look);
    context.globalAlpha = Math.min(1, opacity * 1.6);
    context.globalCompositeOperation = "saturation";
    context.fillStyle = "#808080";
    context.fill(path);
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = opacity * (look.certainty ? SHIELDED : 0.1);
    context.fillStyle = look.certainty ? "#fff" : UNKNOWN_COLOR;
    context.fill(path);
    context.globalAlpha = opacity;
    this.hatch.setTransform(new DOMMatrix([1 / view.scale, 0, 0, 1 / view.scale, 0, 0]));
    context.fillStyle = this.hatch;
    context.fill(path);
  }

  /**
   * Highlight a segment.
   * @param {CanvasRenderingContext2D} context
   * @param {View} view
   * @param {number} segment
   * @param {"hover"|"active"|"selected"|"changed"} kind
   * @param {number} ratio device pixels to a pixel of the page
   * @param {Photo|null} [photo] drawn over the labels inside a selected segment
   */
  mark(context, view, segment, kind, ratio, photo = null) {
    const path = this.outlines[segment];
    if (!path) return;
    context.save();
    context.setTransform(view.scale, 0, 0, view.scale, view.x, view.y);
    context.lineJoin = "round";
    if (kind === "selected") this.#reveal(context, view, path, photo);
    if (kind === "hover" || kind === "active") {
      context.fillStyle = "rgb(255 255 255 / 0.22)";
      context.fill(path);
    }
    if (kind === "changed") context.setLineDash([(6 * ratio) / view.scale, (4 * ratio) / view.scale]);
    for (const [color, width] of /** @type {[string, number][]} */ ([
      ["rgb(0 0 0 / 0.75)", kind === "hover" ? 4 : 5],
      [kind === "changed" ? "#ffe14d" : "#fff", kind === "hover" ? 2 : 2.5],
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

/** @param {number} classId @param {Look} look @returns {number} 0..1 */
function opacityOf(classId, look) {
  if (look.only === null) return look.opacity;
  return classId === look.only ? Math.max(look.opacity, 0.6) : look.opacity * DIMMED;
}

/** A tile of thin diagonal stripes. @param {number} ratio device pixels to a pixel of the page */
function stripes(ratio) {
  const side = Math.round(12 * ratio);
  const tile = h("canvas", { width: side, height: side });
  const context = context2d(tile);
  for (const [color, shift] of /** @type {[string, number][]} */ ([
    ["rgb(255 255 255 / 0.5)", 0],
    ["rgb(0 0 0 / 0.4)", side / 12],
  ])) {
    context.strokeStyle = color;
    context.lineWidth = side / 14;
    for (let x = -side; x <= 2 * side; x += side) {
      context.beginPath();
      context.moveTo(x + shift, side + 1);
      context.lineTo(x + shift + side + 2, -1);
      context.stroke();
    }
  }
  return tile;
}
