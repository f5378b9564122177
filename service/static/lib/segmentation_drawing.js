/** Drawing the labels of an image on a canvas. */

import { NO_CLASS, UNKNOWN_COLOR } from "./classes.js";
import { contours } from "./contours.js";
import { context2d, h } from "./dom.js";
import { LabelGrid, NONE } from "./label_grid.js";

/** @typedef {import("./photo.js").Photo} Photo */
/** @typedef {import("./types.js").Segment} Segment */
/** @typedef {import("./types.js").ClassInfo} ClassInfo */
/** @typedef {{width: number, height: number, segments: Pick<Segment, "class_id"|"known"|"mask">[],
 *   classes: ClassInfo[]}} Drawn what is drawn of an answer */
/** @typedef {{scale: number, x: number, y: number}} View position of the image on the canvas, in canvas pixels */
/**
 * @typedef {{path: Path2D, color: string, classId: number, strength: number}} Area segments that are painted alike;
 *   strength: opacity relative to segments with a known label, 0..1
 * @typedef {{areas: Area[], unknown: Path2D}} Labelling unknown: the segments to hatch
 */
/**
 * @typedef {object} Look
 * @property {number} opacity 0..1
 * @property {boolean} outlines
 * @property {number|null} only the class that is highlighted
 * @property {number} ratio device pixels to a pixel of the page
 */

const GUESSED = 0x4000; // added to the class of unknown segments in a grid of classes
const FAINT = 0.4; // strength of unknown segments: their class is only the nearest one, and the image must stay visible

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
    const codes = answer.segments.map(({ class_id: id, known }) => (id === null ? NONE : known ? id : id + GUESSED));
    const areas = [...this.#contours(this.grid.classLabels(codes))].map(([code, path]) => {
      const classId = code % GUESSED;
      return { path, classId, color: colors.get(classId) ?? UNKNOWN_COLOR, strength: code < GUESSED ? 1 : FAINT };
    });
    const untaught = this.#union(answer.segments.map((segment) => segment.class_id === null));
    areas.push({ path: untaught, classId: NO_CLASS, color: UNKNOWN_COLOR, strength: FAINT });
    return { areas, unknown: this.#union(answer.segments.map((segment) => !segment.known && segment.class_id !== null)) };
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
    for (const area of labelling.areas) {
      context.globalAlpha = opacityOf(area, look);
      context.fillStyle = area.color;
      context.fill(area.path);
    }
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
    for (const area of labelling.areas) context.stroke(area.path);
  }

  /**
   * Hatch the segments that are unlike all exemplars.
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

/** @param {Area} area @param {Look} look @returns {number} 0..1 */
function opacityOf({ classId, strength }, look) {
  if (look.only === null) return look.opacity * strength;
  return classId === look.only ? Math.max(look.opacity, 0.6) * strength : look.opacity * 0.15;
}

/** A tile of diagonal stripes. @param {number} ratio device pixels to a pixel of the page */
function stripes(ratio) {
  const side = Math.round(8 * ratio);
  const tile = h("canvas", { width: side, height: side });
  const context = context2d(tile);
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
