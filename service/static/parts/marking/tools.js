/** The tools of the image page: what they are called, their keys, and how they are used. */

/** @typedef {import("../../lib/icons.js").IconName} IconName */
/** @typedef {"select"|"brush"|"eraser"|"lasso"|"polygon"|"box"} ToolName */
/** @typedef {{name: ToolName, title: string, key: string, icon: IconName, hint: string, touchHint?: string}} Tool */

/** @type {Tool[]} the keys are those of Label Studio and CVAT */
export const TOOLS = [
  {
    name: "select",
    title: "Select",
    key: "v",
    icon: "select",
    hint: "Click a segment to see why it has its label. Shift-click, or drag with Shift, selects several.",
    touchHint: "Tap a segment to see why it has its label.",
  },
  {
    name: "brush",
    title: "Brush",
    key: "b",
    icon: "brush",
    hint: "Paint over things of this class. One or two strokes are enough to start.",
  },
  {
    name: "eraser",
    title: "Eraser",
    key: "e",
    icon: "eraser",
    hint: "Erases marks that are not applied yet. Undo reverts marks that are applied.",
  },
  { name: "lasso", title: "Lasso", key: "l", icon: "lasso", hint: "Draw around an area of this class." },
  {
    name: "polygon",
    title: "Polygon",
    key: "p",
    icon: "polygon",
    hint: "Click the corners of an area. Enter, a double click or the first corner closes it.",
    touchHint: "Tap the corners of an area, and the first corner again to close it.",
  },
  { name: "box", title: "Box", key: "r", icon: "rectangle", hint: "Drag a rectangle over an area of this class." },
];

/** @param {ToolName} name @returns {Tool} */
export const toolNamed = (name) => TOOLS.find((tool) => tool.name === name) ?? TOOLS[0];

/** @param {ToolName} name */
export const hasSize = (name) => name === "brush" || name === "eraser";

export const SMALLEST = 1; // width of the brush, pixels of the image
const FACTOR = 1.2; // by which a key or a notch of the wheel changes the size

/** The next size of the brush. @param {number} size @param {1|-1} direction @param {number} largest */
export function nextSize(size, direction, largest) {
  const next = direction > 0 ? Math.max(Math.round(size * FACTOR), size + 1) : Math.min(Math.round(size / FACTOR), size - 1);
  return Math.min(Math.max(next, SMALLEST), largest);
}

/** The largest brush for an image. @param {import("../../lib/pixels.js").Size} size */
export const largestBrush = ({ width, height }) => Math.max(Math.round(Math.max(width, height) / 4), SMALLEST);

/** A brush that fits most images of a size. @param {import("../../lib/pixels.js").Size} size */
export const usualBrush = ({ width, height }) => Math.max(Math.round(Math.max(width, height) / 60), 3);
