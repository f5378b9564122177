/** The tray with what can be done with the selected exemplars. */

import { button, h } from "../../lib/dom.js";
import { counted } from "../../lib/format.js";
import { icon } from "../../lib/icons.js";

/** @typedef {import("../../lib/types.js").ExemplarSummary} ExemplarSummary */
/**
 * @typedef {object} Actions
 * @property {(exemplars: ExemplarSummary[]) => void} remove
 * @property {(exemplars: ExemplarSummary[]) => void} relabel
 * @property {((exemplars: ExemplarSummary[]) => void)|null} accept relabel as suggested; null: nothing is suggested
 */

/**
 * @param {import("../../lib/selection.js").Selection} selection
 * @param {() => Actions} actions
 */
export function selectionTray(selection, actions) {
  const tray = h("div", { class: "tray audit-tray", hidden: true, role: "region", "aria-label": "Selected exemplars" });
  selection.on("changed", () => {
    const { chosen } = selection;
    tray.hidden = !chosen.length;
    if (!chosen.length) return tray.replaceChildren();
    const { remove, relabel, accept } = actions();
    const all = selection.listed.size;
    const children = [
      h("span", { role: "status" }, `${counted(chosen.length, "exemplar")} selected`),
      button({ class: "small", on: { click: () => selection.setAll(false) } }, "Clear"),
      button({ class: "small", on: { click: () => relabel(chosen) } }, icon("edit"), "Relabel …"),
      button({ class: "danger small", on: { click: () => remove(chosen) } }, icon("trash"), `Remove ${chosen.length}`),
    ];
    if (accept)
      children.splice(2, 0, button({ class: "small", on: { click: () => accept(chosen) } }, icon("check"), "Relabel as suggested"));
    if (chosen.length < all) {
      const text = `Select all ${all.toLocaleString("en")} listed`;
      children.splice(1, 0, button({ class: "small", on: { click: () => selection.setAll(true) } }, text));
    }
    tray.replaceChildren(...children);
  });
  return tray;
}
