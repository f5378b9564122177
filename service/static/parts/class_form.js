/** The form that makes a class, or changes its name and colour. */

import { button, h } from "../lib/dom.js";

/** @typedef {import("../lib/types.js").ClassInfo} ClassInfo */
/** @typedef {Parameters<typeof import("../lib/api.js").saveClass>[0]} Change */

const NEW_COLOR = "#2a9d8f"; // what the colour field shows first; the service chooses one unless the user does

/**
 * @param {ClassInfo|null} info null: a new class
 * @param {{save: (change: Change) => void, cancel: () => void}} actions
 * @returns {{element: HTMLElement, focus: () => void}}
 */
export function classForm(info, { save, cancel }) {
  const name = h("input", {
    type: "text",
    value: info?.name ?? "",
    required: true,
    maxLength: 60,
    placeholder: "Name of the class",
    "aria-label": "Name of the class",
  });
  const color = h("input", {
    type: "color",
    value: info?.color ?? NEW_COLOR,
    title: "Colour of the class",
    "aria-label": "Colour of the class",
  });
  let colorChosen = info !== null;
  color.addEventListener("input", () => (colorChosen = true));
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    save({
      ...(info ? { class_id: info.class_id } : {}),
      name: name.value.trim(),
      ...(colorChosen ? { color: color.value } : {}),
    });
  };
  const element = h(
    "form",
    { class: "rename", on: { submit, keydown: (event) => event.key === "Escape" && cancel() } },
    color,
    name,
    h("button", { class: "button primary small" }, "Save"),
    button({ class: "small", on: { click: cancel } }, "Cancel"),
  );
  const focus = () => {
    name.focus();
    name.select();
  };
  return { element, focus };
}
