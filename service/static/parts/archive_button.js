/** The button that adds the labelled images of a ZIP archive as exemplars. */

import { button, h } from "../lib/dom.js";
import { counted } from "../lib/format.js";
import { icon } from "../lib/icons.js";

/** @typedef {import("../lib/types.js").Imported} Imported */
/** @typedef {import("./context.js").Context} Context */

const MOST = 5; // files that a message names

/**
 * @param {Context} context
 * @param {(told: string) => void} tell shows how far the import is, and its result
 * @returns {HTMLElement}
 */
export function archiveButton(context, tell) {
  const input = h("input", {
    type: "file",
    accept: ".zip,application/zip",
    hidden: true,
    "aria-label": "ZIP archive of labelled images",
    on: { change: () => send() },
  });
  const send = async () => {
    const file = input.files?.[0];
    input.value = "";
    if (!file) return;
    try {
      const told = (/** @type {number|null} */ share) =>
        tell(share === null ? `Reading ${file.name} ...` : `Sending ${file.name}: ${Math.round(100 * share)} %`);
      tell(summary(await context.edits.importArchive(file, told)));
    } catch (error) {
      tell("");
      context.showProblem(error);
    }
  };
  return h(
    "span",
    {},
    input,
    button(
      {
        class: "small",
        title: "A ZIP archive of the folder that COCO, CVAT, Label Studio, labelme, YOLO or another tool exported",
        on: { click: () => input.click() },
      },
      icon("upload"),
      "Import labelled images",
    ),
  );
}

/** @param {Imported} imported @returns {string} */
function summary({ format, images, skipped, notes }) {
  const added = images.reduce((sum, one) => sum + one.exemplars, 0);
  const left = skipped.slice(0, MOST).map((one) => `${one.name} (${one.reason})`);
  const more = skipped.length > MOST ? [`${skipped.length - MOST} more`] : [];
  const told = [`${counted(added, "exemplar")} added from ${counted(images.length, "image")}, format ${format}.`];
  if (skipped.length) told.push(`Not used: ${[...left, ...more].join(", ")}.`);
  return [...told, ...notes].join(" ");
}
