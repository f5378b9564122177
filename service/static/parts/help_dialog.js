/** The dialog that lists the keyboard shortcuts. */

import { h } from "../lib/dom.js";
import { iconButton } from "../lib/elements.js";
import { url } from "../lib/http.js";

const SHORTCUTS = [
  ["Tab, then arrows", "go from segment to segment, in the image or in the list"],
  ["Enter", "open a segment: why it has its label, and how to correct it"],
  ["← →", "previous or next segment, while one is open"],
  ["1 … 9, 0", "correct the open segment to one of the first ten classes"],
  ["any letter", "search for a class, or name a new one; Enter applies it"],
  ["Ctrl Z", "undo the last edit"],
  ["Esc", "close"],
  ["+ − 0", "zoom in, zoom out, fit; a mouse wheel or two fingers zoom too"],
  ["O", "show or hide outlines, while no segment is open"],
  ["Ctrl V", "segment the image of the clipboard"],
];

export function helpDialog() {
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "keys-title" });
  dialog.append(
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id: "keys-title" }, "Keyboard shortcuts"),
      iconButton("close", "Close", { on: { click: () => dialog.close() } }),
    ),
    h(
      "dl",
      { class: "keys" },
      ...SHORTCUTS.flatMap(([key, effect]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, effect)]),
    ),
    h("p", { class: "fine" }, "To call the service from a program, see the ", h("a", { href: url("/docs") }, "API"), "."),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}
