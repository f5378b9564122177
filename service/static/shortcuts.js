/** The keys, told in a dialog. */

import { h, iconButton } from "./dom.js";

const KEYS = [
  ["Tab, then arrows", "from segment to segment, in the picture or in the list"],
  ["Enter", "explain the segment"],
  ["← →", "previous, next segment while one is explained"],
  ["1 … 9, 0", "correct it to one of the first ten classes"],
  ["any letter", "find a class, or name a new one; Enter applies it"],
  ["Ctrl Z", "undo the last edit"],
  ["Esc", "close"],
  ["+ − 0", "zoom in, out, fit; the wheel and two fingers do it too"],
  ["O", "outlines on or off, in the list of segments"],
  ["Ctrl V", "segment a pasted picture"],
];

export function help() {
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "keys-title" });
  dialog.append(
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id: "keys-title" }, "Keys"),
      iconButton("close", "Close", { on: { click: () => dialog.close() } }),
    ),
    h("dl", { class: "keys" }, ...KEYS.flatMap(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
    h("p", { class: "fine" }, "Requests are described at ", h("a", { href: "/docs" }, "/docs"), "."),
  );
  dialog.addEventListener("click", (/** @type {MouseEvent} */ event) => event.target === dialog && dialog.close());
  return dialog;
}
