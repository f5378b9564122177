/** The handle by which a phone user pulls the panel up and down. */

import { h } from "../lib/dom.js";

const LOWEST = 60; // pixels
const HIGHEST = 0.92; // of the window's height
const CLOSES_BELOW = 0.25;

/**
 * @param {HTMLElement} panel
 * @param {{close: () => void, resized: () => void}} actions close: the panel was pulled down out of view
 */
export function sheetHandle(panel, { close, resized }) {
  const handle = h("div", { class: "grip", "aria-hidden": "true" });
  let startY = 0;
  let startHeight = 0;
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    startY = event.clientY;
    startHeight = panel.offsetHeight;
    panel.classList.add("pulled");
  });
  handle.addEventListener("pointermove", (event) => {
    if (!panel.classList.contains("pulled")) return;
    const height = Math.min(Math.max(startHeight + startY - event.clientY, LOWEST), innerHeight * HIGHEST);
    panel.style.setProperty("--sheet", `${height}px`);
  });
  const release = (/** @type {PointerEvent} */ event) => {
    if (!panel.classList.contains("pulled")) return;
    panel.classList.remove("pulled");
    if (startHeight + startY - event.clientY >= innerHeight * CLOSES_BELOW) return resized();
    panel.style.removeProperty("--sheet");
    close();
  };
  handle.addEventListener("pointerup", release);
  handle.addEventListener("pointercancel", release);
  return handle;
}
