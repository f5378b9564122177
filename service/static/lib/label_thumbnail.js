/** The labels of an answer as a small image. */

import { context2d, h } from "./dom.js";
import { runLengthsOf } from "./run_lengths.js";

/** @typedef {import("./types.js").Answer} Answer */

/**
 * A canvas with each n-th pixel of an answer, in the colour of its class; unknown ones are transparent.
 * @param {Answer} answer with masks
 * @param {number} size pixels of the longer side, at most
 */
export function labelThumbnail(answer, size) {
  const step = Math.ceil(Math.max(answer.width, answer.height) / size);
  const [width, height] = [Math.ceil(answer.width / step), Math.ceil(answer.height / step)];
  const canvas = h("canvas", { width, height });
  const context = context2d(canvas);
  const image = context.createImageData(width, height);
  const pixels = new DataView(image.data.buffer);
  const colors = new Map(answer.classes.map((info) => [info.class_id, opaque(info.color)]));
  for (const segment of answer.segments) {
    const color = segment.known && segment.class_id !== null ? colors.get(segment.class_id) : undefined;
    if (color === undefined) continue;
    for (const [x, y] of sampled(runLengthsOf(segment), answer.height, step))
      pixels.setUint32((y * width + x) * 4, color);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * The pixels of a mask whose column and row are multiples of `step`, divided by it.
 * @param {Iterable<number>} lengths of runs down the columns, outside and inside in turn
 * @param {number} height of the mask
 * @param {number} step
 */
function* sampled(lengths, height, step) {
  let [at, inside] = [0, false];
  for (const length of lengths) {
    const end = at + length;
    const first = Math.ceil(Math.floor(at / height) / step) * step;
    for (let x = first; inside && x * height < end; x += step) {
      const top = Math.max(at - x * height, 0);
      const bottom = Math.min(end - x * height, height);
      for (let y = Math.ceil(top / step) * step; y < bottom; y += step) yield [x / step, y / step];
    }
    [at, inside] = [end, !inside];
  }
}

/** A colour as one number. @param {string} color "#rrggbb" */
const opaque = (color) => (Number.parseInt(color.slice(1), 16) * 256 + 255) >>> 0;
