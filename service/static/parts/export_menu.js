/** The menu to export images with their labels in the formats of other tools. */

import { h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";

/** Formats of the service, what the menu calls them, and whether one file holds the labels of all images. */
export const EXPORTS = /** @type {const} */ ([
  ["coco", "For COCO (JSON)", true],
  ["label-studio", "For Label Studio (JSON)", true],
  ["cvat", "For CVAT (XML)", true],
  ["labelme", "For labelme (JSON)", false],
  ["yolo", "For YOLO (ZIP)", false],
  ["geojson", "Outlines (GeoJSON)", false],
  ["csv", "Areas of the classes (CSV)", true],
  ["png", "Label maps (PNG)", false],
]);

/** @typedef {{format: string, images: boolean, single: boolean, join: boolean}} Choice */

/**
 * A menu that closes itself: on Escape, on a click elsewhere, and when the focus leaves it.
 * @param {HTMLElement} summary
 * @param {HTMLElement} list
 */
export function menu(summary, list) {
  const element = h("details", { class: "menu" }, summary, list);
  element.addEventListener("focusout", (event) => {
    if (event.relatedTarget instanceof Node && !element.contains(event.relatedTarget)) element.open = false;
  });
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !element.open) return;
    element.open = false;
    summary.focus();
    event.stopPropagation();
  });
  addEventListener("pointerdown", (event) => {
    if (event.target instanceof Node && !element.contains(event.target)) element.open = false;
  });
  return element;
}

/** A box that says whether touching segments of a class are exported as one object, such as a nucleus. */
export function joinChoice() {
  const input = h("input", { type: "checkbox", checked: true });
  return { input, element: h("label", { class: "check menu-check" }, input, "Join touching segments of a class") };
}

/**
 * @param {string} name of the button
 * @param {(choice: Choice) => void} save
 */
export function exportMenu(name, save) {
  const files = h("input", { type: "checkbox" });
  const join = joinChoice();
  const item = (/** @type {typeof EXPORTS[number]} */ [format, title, single]) => {
    const click = () => {
      element.open = false;
      save({ format, images: files.checked, join: join.input.checked, single: single && !files.checked });
    };
    return h("button", { type: "button", class: "row-button", on: { click } }, title);
  };
  const list = h(
    "div",
    { class: "menu-list" },
    h("label", { class: "check menu-check" }, files, "Also the image files (ZIP)"),
    join.element,
    ...EXPORTS.map(item),
  );
  const element = menu(h("summary", { class: "button" }, icon("download"), name), list);
  return element;
}
