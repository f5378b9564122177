/** An image to label next, and why. */

import { thumbnailUrl } from "../lib/api.js";
import { h } from "../lib/dom.js";

/** @typedef {import("../lib/types.js").Suggestion} Suggestion */

const SIDE = 320; // pixels of the longer side of the thumbnail

/** @param {Suggestion} suggestion */
export function suggestionCard({ segmentation_id: id, image_url: url, reasons }) {
  const image = h("img", { src: thumbnailUrl(url, SIDE), alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(h("span", { class: "missing" }, "no preview")), { once: true });
  return h(
    "a",
    { class: "suggestion", href: `#/s/${id}` },
    h("span", { class: "suggestion-image" }, image),
    h("span", { class: "unseen" }, "Label this image. "),
    h("span", { class: "suggestion-reasons fine" }, ...reasons.map((reason) => h("span", {}, reason))),
  );
}
