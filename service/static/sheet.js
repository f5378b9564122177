/** On a phone the panel is a sheet that is pulled up from below. */

import { h } from "./dom.js";

/**
 * @param {HTMLElement} panel
 * @param {{close: () => void, settle: () => void}} does close: it was pulled down out of view; settle: it stays, of another height
 */
export function grip(panel, { close, settle }) {
  const handle = h("div", { class: "grip", "aria-hidden": "true" });
  let from = 0;
  let height = 0;
  handle.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    handle.setPointerCapture(event.pointerId);
    from = event.clientY;
    height = panel.offsetHeight;
    panel.classList.add("pulled");
  });
  handle.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (panel.classList.contains("pulled"))
      panel.style.setProperty(
        "--sheet",
        `${Math.min(Math.max(height + from - event.clientY, 60), innerHeight * 0.92)}px`,
      );
  });
  const up = (/** @type {PointerEvent} */ event) => {
    if (!panel.classList.contains("pulled")) return;
    panel.classList.remove("pulled");
    const end = height + from - event.clientY;
    if (end < innerHeight * 0.25) {
      panel.style.removeProperty("--sheet");
      close();
    } else settle();
  };
  handle.addEventListener("pointerup", up);
  handle.addEventListener("pointercancel", up);
  return handle;
}
