/** What marks would change, in words, and the other images in which they would change something. */

import { h } from "../../lib/dom.js";
import { labelChange } from "../../lib/elements.js";
import { counted } from "../../lib/format.js";

/** @typedef {import("../../lib/types.js").MarksPreview} MarksPreview */
/** @typedef {import("../../lib/types.js").Elsewhere} Elsewhere */

/** @param {MarksPreview} preview @param {number} here segments of the image that would change */
export function effectText({ elsewhere }, here) {
  const others = changedImages(elsewhere);
  const segments = others.reduce((sum, one) => sum + one.changed.length, 0);
  const own = here ? `Changes ${counted(here, "segment")} here` : "Changes no other segment here";
  if (!others.length) return `${own}, none in other recent images`;
  return `${own}, ${segments.toLocaleString("en")} in ${counted(others.length, "other recent image")}`;
}

/** The images in which something would change. @param {Elsewhere[]} elsewhere */
export const changedImages = (elsewhere) => elsewhere.filter((one) => one.changed.length > 0);

/**
 * A card for each image in which something would change.
 * @param {Elsewhere[]} elsewhere
 * @param {{colorOf: (name: string|null) => string, open: (segmentationId: string) => void}} options
 */
export const effectCards = (elsewhere, { colorOf, open }) =>
  h("ul", { class: "effect-cards" }, ...changedImages(elsewhere).map((one) => card(one, colorOf, open)));

/** @param {Elsewhere} one @param {(name: string|null) => string} colorOf @param {(segmentationId: string) => void} open */
function card(one, colorOf, open) {
  const changes = groups(one);
  const text = `${counted(one.changed.length, "segment")}: ${changes.map(({ before, after }) => `${before ?? "unknown"} to ${after ?? "unknown"}`).join(", ")}`;
  return h(
    "li",
    {},
    h(
      "button",
      { type: "button", class: "effect-card", "aria-label": `Open this image. ${text}`, title: "Open this image; your marks are kept", on: { click: () => open(one.segmentation_id) } },
      h("img", { src: `${one.image_url}?size=256`, alt: "", loading: "lazy", decoding: "async" }),
      h(
        "span",
        { class: "effect-changes" },
        ...changes.slice(0, 3).map(({ before, after, count }) =>
          h("span", { class: "effect-change" }, labelChange(before, after, colorOf), count > 1 ? h("span", { class: "figure" }, `×${count}`) : null),
        ),
        changes.length > 3 ? h("span", { class: "fine" }, `and ${counted(changes.length - 3, "other change")}`) : null,
      ),
    ),
  );
}

/** Changes of an image by their classes, the most frequent first. @param {Elsewhere} one */
function groups({ changed }) {
  /** @type {Map<string, {before: string|null, after: string|null, count: number}>} */
  const found = new Map();
  for (const { before, after } of changed) {
    const key = JSON.stringify([before, after]);
    const group = found.get(key) ?? { before, after, count: 0 };
    group.count += 1;
    found.set(key, group);
  }
  return [...found.values()].sort((a, b) => b.count - a.count);
}
