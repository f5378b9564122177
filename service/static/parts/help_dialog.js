/** The dialog that lists the keyboard shortcuts. */

import { h } from "../lib/dom.js";
import { iconButton } from "../lib/elements.js";
import { url } from "../lib/http.js";

/** @type {[string, [string, string][]][]} groups of keys and what they do */
const SHORTCUTS = [
  [
    "Look",
    [
      ["Tab, then arrows", "go from segment to segment, in the image or in the list"],
      ["Enter", "open a segment: why it has its label, and how to correct it"],
      ["← →", "previous or next segment, while one is open"],
      ["+ − 0", "zoom in, zoom out, fit; a mouse wheel or two fingers zoom too"],
      ["O", "show or hide outlines, while no segment is open"],
      ["U", "show how sure each segment is, or its label, while no segment is open"],
      ["N", "go to the image to label next, while no segment is open"],
      ["Esc", "cancel, clear the selection, close"],
    ],
  ],
  [
    "Correct the open segment",
    [
      ["1 … 9, 0", "correct it to one of the first ten classes"],
      ["any letter", "search for a class, or name a new one; Enter applies it"],
    ],
  ],
  [
    "Mark, while no segment is open",
    [
      ["V", "Select: click explains; Shift-click, Shift-drag or Space selects several"],
      ["B", "Brush"],
      ["E", "Eraser of marks that are not applied yet"],
      ["L", "Lasso"],
      ["P", "Polygon; Enter or a double click closes it, Backspace removes its last corner"],
      ["R", "Box"],
      ["[ ]", "smaller or larger brush; Alt and the wheel do the same"],
      ["1 … 9", "mark with this class; with a selection: give it this class"],
      ["Space or middle button", "hold it and drag to pan with any tool"],
      ["arrows, Space", "with a drawing tool in the image: move the pen, put it down and lift it"],
      ["Ctrl Enter", "apply the marks"],
    ],
  ],
  [
    "Anywhere",
    [
      ["Ctrl Z", "undo the last mark, then the last edit"],
      ["Ctrl Shift Z", "redo it"],
      ["Ctrl V", "segment the image of the clipboard"],
    ],
  ],
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
    ...SHORTCUTS.flatMap(([title, keys]) => [
      h("h3", {}, title),
      h("dl", { class: "keys" }, ...keys.flatMap(([key, effect]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, effect)])),
    ]),
    h("p", { class: "fine" }, "To call the service from a program, see the ", h("a", { href: url("/docs") }, "API"), "."),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}
