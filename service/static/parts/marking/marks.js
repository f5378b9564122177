/** Marks of a draft: pixels of an image with a class that the service does not know yet. */

import { maskOf, pixelsOfLine, pixelsOfMask, pixelsOfRings } from "../../lib/pixels.js";
import { indexOfSame } from "../../lib/run_lengths.js";

/** @typedef {import("../../lib/pixels.js").Point} Point */
/** @typedef {import("../../lib/pixels.js").Pixels} Pixels */
/** @typedef {import("../../lib/pixels.js").Size} Size */
/** @typedef {import("../../lib/types.js").Answer} Answer */
/** @typedef {import("../../lib/types.js").Segment} Segment */
/** @typedef {{class_id: number|null, name: string, color: string}} MarkClass class_id: null for a new class */
/**
 * @typedef {{kind: "line", points: Point[], width: number, of: MarkClass}} LineMark
 * @typedef {{kind: "area", rings: Point[][], of: MarkClass}} AreaMark
 * @typedef {{kind: "mask", pixels: Pixels, of: MarkClass}} MaskMark
 * @typedef {{kind: "segment", segment: Segment, of: MarkClass}} SegmentMark a whole segment
 * @typedef {LineMark|AreaMark|MaskMark|SegmentMark} Mark
 */
/** @typedef {"all"|"image"} Scope the images in which marks vote */

/** The pixels of a mark. @param {Mark} mark @param {Size} size */
export function pixelsOf(mark, size) {
  if (mark.kind === "line") return pixelsOfLine(mark.points, mark.width, size);
  if (mark.kind === "area") return pixelsOfRings(mark.rings, size);
  return mark.kind === "mask" ? mark.pixels : pixelsOfSegment(mark.segment, size);
}

/** @param {Segment} segment @param {Size} size */
export const pixelsOfSegment = ({ mask, bbox }, size) =>
  pixelsOfMask(mask && "counts" in mask ? mask.counts : "", size, bbox);

/** The body of a request that marks an image. @param {Mark[]} marks @param {Size} size @param {Scope} scope */
export function requestOf(marks, size, scope) {
  return {
    labels: marks.flatMap((mark) =>
      mark.kind === "segment" ? [{ segment_id: mark.segment.segment_id, ...classOf(mark) }] : [],
    ),
    strokes: marks.flatMap((mark) => (mark.kind === "segment" ? [] : [{ ...classOf(mark), ...shapeOf(mark, size) }])),
    scope,
  };
}

/** @param {Mark} mark */
const classOf = ({ of }) =>
  of.class_id === null ? { class_name: of.name, color: of.color } : { class_id: of.class_id };

/** @param {LineMark|AreaMark|MaskMark} mark @param {Size} size */
function shapeOf(mark, size) {
  if (mark.kind === "line") return { points: mark.points, width: mark.width };
  return mark.kind === "area" ? { polygon: mark.rings } : { mask: maskOf(mark.pixels, size) };
}

/**
 * The marks for another answer of the same image. A marked segment that the answer does not have becomes a mask.
 * @param {Mark[]} marks
 * @param {Answer} answer
 * @returns {Mark[]}
 */
export function movedTo(marks, answer) {
  return marks.map((mark) => {
    if (mark.kind !== "segment") return mark;
    const index = indexOfSame(mark.segment, segmentNumber(mark.segment), answer);
    if (index >= 0) return { ...mark, segment: answer.segments[index] };
    return { kind: "mask", pixels: pixelsOfSegment(mark.segment, answer), of: mark.of };
  });
}

/** The index of a segment in its answer. @param {Segment} segment */
const segmentNumber = ({ segment_id: id }) => Number(id.slice(id.lastIndexOf("-") + 1));

/** Classes without those of a name that came before. @param {MarkClass[]} classes @returns {MarkClass[]} */
export const distinctClasses = (classes) =>
  classes.filter((one, n) => classes.findIndex((other) => other.name.toLowerCase() === one.name.toLowerCase()) === n);

/** Coordinates as they are sent: hundredths of a pixel. @param {number} value */
export const rounded = (value) => Math.round(value * 100) / 100;
