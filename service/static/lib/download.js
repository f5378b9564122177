/** Files that the page saves on the user's device. */

import { NO_CLASS, UNKNOWN_COLOR } from "./classes.js";
import { context2d, h } from "./dom.js";
import { runLengthsOf } from "./run_lengths.js";

/** @typedef {import("./types.js").Answer} Answer */

const KEPT_MS = 60_000; // until when the browser has begun the download

/** @param {Blob} blob @param {string} name of the file */
export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}

/** @param {HTMLCanvasElement} canvas @param {string} name of the PNG file */
export function saveCanvas(canvas, name) {
  canvas.toBlob((blob) => blob && saveBlob(blob, name));
}

/** A canvas of the answer's size; each pixel has exactly the colour of its class, or grey if it is unknown. @param {Answer} answer */
export function labelCanvas(answer) {
  const { width, height } = answer;
  const canvas = h("canvas", { width, height });
  const context = context2d(canvas);
  const image = context.createImageData(width, height);
  const pixels = new DataView(image.data.buffer);
  const colors = new Map(answer.classes.map((info) => [info.class_id, rgba(info.color)]));
  for (const segment of answer.segments) {
    const color = colors.get(segment.known ? (segment.class_id ?? NO_CLASS) : NO_CLASS) ?? rgba(UNKNOWN_COLOR);
    let at = 0; // counted down the columns
    runLengthsOf(segment).forEach((length, turn) => {
      const end = at + length;
      if (turn % 2 === 0) at = end;
      for (; at < end; at++) pixels.setUint32(((at % height) * width + Math.floor(at / height)) * 4, color);
    });
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** An opaque colour as one number. @param {string} color "#rrggbb" */
const rgba = (color) => (Number.parseInt(color.slice(1), 16) * 256 + 255) >>> 0;
