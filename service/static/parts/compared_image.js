/** An image with the labels of two releases, side by side. */

import { context2d, h } from "../lib/dom.js";
import { swatch } from "../lib/elements.js";
import { percent } from "../lib/format.js";
import { decodeRunLengths } from "../lib/run_lengths.js";

/** @typedef {import("../lib/types.js").ComparedClass} ComparedClass */
/** @typedef {import("../lib/types.js").ComparedImage} ComparedImage */

const SIDE = 640; // largest side of a drawing, pixels
const OPACITY = 0.62;
const SHOWN = 6; // classes under a drawing

/**
 * @param {ComparedImage} image
 * @param {string} a name of the first release
 * @param {string} b name of the second release
 * @param {string} url of the image at a limited size
 */
export function comparedImage(image, a, b, url) {
  const photo = loaded(url);
  return h(
    "article",
    { class: "compared", "aria-label": `Image, ${percent(image.agreement)} of it labelled alike` },
    h("p", {}, h("strong", {}, `${percent(image.agreement)} of the pixels get the same label`), h("span", { class: "fine" }, marks(image))),
    h("div", { class: "compared-sides" }, side(image, image.a, a, photo), side(image, image.b, b, photo)),
  );
}

/** @param {ComparedImage} image */
function marks({ marked_pixels: count, miou_a: a, miou_b: b }) {
  if (!count || a === null || b === null) return "";
  return ` On its ${count.toLocaleString("en")} marked pixels: mIoU ${a.toFixed(2)} and ${b.toFixed(2)}.`;
}

/** @param {ComparedImage} image @param {ComparedClass[]} classes @param {string} name @param {Promise<HTMLImageElement>} photo */
function side(image, classes, name, photo) {
  const scale = Math.min(1, SIDE / Math.max(image.width, image.height));
  const canvas = h("canvas", {
    width: Math.max(1, Math.round(image.width * scale)),
    height: Math.max(1, Math.round(image.height * scale)),
    role: "img",
    "aria-label": `Labels of ${name}: ${classes.map((one) => `${one.class_name ?? "unknown"} ${percent(one.area / (image.width * image.height))}`).join(", ")}`,
  });
  photo.then((shown) => draw(canvas, shown, image, classes)).catch(() => draw(canvas, null, image, classes));
  return h("figure", {}, h("figcaption", {}, name), canvas, legend(image, classes));
}

/** @param {ComparedImage} image @param {ComparedClass[]} classes */
const legend = ({ width, height }, classes) =>
  h(
    "ul",
    { class: "class-chips" },
    ...classes
      .slice(0, SHOWN)
      .map(({ class_name: name, color, area }) =>
        h("li", {}, swatch(color, name === null), h("span", { class: "name" }, name ?? "unknown"), h("span", { class: "figure" }, percent(area / (width * height)))),
      ),
    classes.length > SHOWN ? h("li", { class: "figure" }, `${classes.length - SHOWN} more`) : null,
  );

/**
 * Draw the image, and the colours of the classes over it. What is unknown stays the image, in grey.
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLImageElement|null} photo
 * @param {ComparedImage} image
 * @param {ComparedClass[]} classes
 */
function draw(canvas, photo, image, classes) {
  const context = context2d(canvas);
  const { width, height } = canvas;
  if (photo) context.drawImage(photo, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height);
  for (const one of classes) paint(pixels, image, one);
  context.putImageData(pixels, 0, 0);
}

/** @param {ImageData} pixels @param {ComparedImage} image @param {ComparedClass} one */
function paint({ data, width, height }, image, { class_name: name, color, mask }) {
  const rgb = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
  const inside = new Uint8Array(image.width * image.height); // columns first
  let at = 0;
  decodeRunLengths(mask.counts).forEach((length, i) => {
    if (i % 2) inside.fill(1, at, at + length);
    at += length;
  });
  for (let y = 0; y < height; y++) {
    const row = Math.min(image.height - 1, Math.floor(((y + 0.5) * image.height) / height));
    for (let x = 0; x < width; x++) {
      const column = Math.min(image.width - 1, Math.floor(((x + 0.5) * image.width) / width));
      if (!inside[column * image.height + row]) continue;
      const to = 4 * (y * width + x);
      const grey = (data[to] + data[to + 1] + data[to + 2]) / 3;
      for (let k = 0; k < 3; k++) data[to + k] = name === null ? grey : OPACITY * rgb[k] + (1 - OPACITY) * data[to + k];
      data[to + 3] = 255;
    }
  }
}

/** @param {string} url @returns {Promise<HTMLImageElement>} */
function loaded(url) {
  const image = new Image();
  image.src = url;
  return image.decode().then(() => image);
}
