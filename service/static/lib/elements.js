/** Small elements that several parts and pages use. */

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { nameOf } from "./labels.js";

/** @typedef {import("./dom.js").Properties} Properties */
/** @typedef {import("./icons.js").IconName} IconName */

/** A small square in the colour of a class. @param {string} color @param {boolean} [unknown] grey stripes in place of the colour */
export const swatch = (color, unknown = false) =>
  h("span", { class: unknown ? "swatch unknown" : "swatch", style: unknown ? {} : { "--c": color }, "aria-hidden": "true" });

/**
 * A button that shows an icon alone; screen readers and the tooltip say its name.
 * @param {IconName} drawing
 * @param {string} name
 * @param {Properties} properties
 */
export const iconButton = (drawing, name, properties = {}) =>
  h(
    "button",
    {
      type: "button",
      title: name,
      ...properties,
      class: `icon-button ${properties.class ?? ""}`.trim(),
      "aria-label": name,
    },
    icon(drawing),
  );

/** A thumbnail, replaced by a note when the image cannot be loaded. @param {string} url @param {string} alt */
export function thumbnail(url, alt) {
  const image = h("img", { src: url, alt, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(h("span", { class: "missing" }, "image not stored")), {
    once: true,
  });
  image.addEventListener("load", () => image.classList.add("loaded"), { once: true });
  return h("span", { class: "crop" }, image);
}

/**
 * A bar with its name and its figure.
 * @param {string} name
 * @param {number} value length of the bar, 0..1
 * @param {string} figure
 * @param {string} [color]
 */
export const bar = (name, value, figure, color = "var(--accent)") =>
  h(
    "span",
    { class: "bar" },
    h("span", { class: "bar-name" }, name),
    h("span", { class: "meter", style: { "--v": value, "--c": color } }),
    h("span", { class: "figure" }, figure),
  );

/**
 * The label before an edit and after it, each with its colour.
 * @param {string|null} before null: no class
 * @param {string|null} after
 * @param {(name: string|null) => string} colorOf
 */
export const labelChange = (before, after, colorOf) =>
  h(
    "span",
    { class: "label-change" },
    swatch(colorOf(before), before === null),
    h("span", { class: "name" }, nameOf(before)),
    icon("right"),
    swatch(colorOf(after), after === null),
    h("span", { class: "name" }, nameOf(after)),
  );

/** Grey bars in place of content that is being loaded. */
export const skeleton = () =>
  h("div", { class: "skeleton", "aria-hidden": "true" }, ...Array.from({ length: 6 }, () => h("span")));
