/** The lines of the bar below the image: what the tool does, and what the marks would change. */

import { shownChanges } from "../../lib/labels.js";
import { counted } from "../../lib/format.js";
import { describe } from "../../lib/http.js";
import { changedImages, effectCards, effectText } from "./effect.js";
import { isPiece } from "./selection.js";
import { toolNamed } from "./tools.js";

/** @typedef {import("./marking.js").Marking} Marking */
/** @typedef {{status: string, effect: string, details: Node|null}} Words effect: "" while it is not known; details: of it */

const TOUCH = matchMedia("(pointer: coarse)");

/** @param {Marking} marking @returns {Words} */
export function wordsOf(marking) {
  const { preview, answer } = marking;
  const status = statusOf(marking);
  if (!marking.draft.marks.length) return { status, effect: "", details: null };
  if (preview.error) return { status, effect: `No preview: ${describe(preview.error).message}`, details: null };
  if (!preview.result || !answer)
    return { status, effect: preview.isPending ? "Computing what this changes …" : "", details: null };
  const { relabelled, elsewhere } = preview.result;
  const effect = effectText(preview.result, shownChanges(answer, relabelled).length) + advice(marking);
  const { context } = marking;
  const options = {
    colorOf: (/** @type {string|null} */ name) => context.classes.colorOf(name),
    open: (/** @type {string} */ id) => context.navigate(`#/s/${id}`),
  };
  return { status, effect, details: changedImages(elsewhere).length ? effectCards(elsewhere, options) : null };
}

/** @param {Marking} marking */
function statusOf({ selection, tool, palette }) {
  const kind = [...selection.targets].some(isPiece) ? "piece" : "segment";
  if (selection.size) return `${counted(selection.size, kind)} selected. Choose a class, or press its number.`;
  const { hint, touchHint } = toolNamed(tool);
  const text = TOUCH.matches ? (touchHint ?? hint) : hint;
  return palette.current ? text.replace("this class", `“${palette.current.name}”`) : text.replace("of this class", "of one class");
}

/** With one class, everything is of this class. @param {Marking} marking */
function advice({ context, draft }) {
  const names = new Set([
    ...context.classes.list.flatMap((one) => (one.exemplars ? [one.name] : [])),
    ...draft.all.map((mark) => mark.of.name),
  ]);
  return names.size === 1 ? ". Mark a second class too." : "";
}
