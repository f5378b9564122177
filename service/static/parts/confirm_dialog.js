/** A question before something that cannot be undone. */

import { button, h } from "../lib/dom.js";

/**
 * Ask, and wait for the answer.
 * @param {string} title the question
 * @param {string[]} texts what will happen, a paragraph each
 * @param {string} action name of the button that does it
 * @returns {Promise<boolean>}
 */
export function confirm(title, texts, action) {
  return new Promise((resolve) => {
    /** @type {HTMLDialogElement} */
    let dialog;
    const close = (/** @type {boolean} */ answer) => {
      dialog.close();
      resolve(answer);
    };
    const keep = button({ autofocus: true, on: { click: () => close(false) } }, "Keep");
    dialog = h(
      "dialog",
      { class: "dialog confirm", "aria-labelledby": "confirm-title", on: { close: () => dialog.remove() } },
      h("h2", { id: "confirm-title" }, title),
      ...texts.map((text) => h("p", {}, text)),
      h("div", { class: "confirm-actions" }, keep, button({ class: "danger", on: { click: () => close(true) } }, action)),
    );
    dialog.addEventListener("cancel", () => resolve(false));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Ask whether to delete images. @param {number} count */
export function confirmDeletion(count) {
  const many = count > 1;
  return confirm(
    many ? `Delete ${count} images?` : "Delete this image?",
    [
      many
        ? "The files, their labels and the explanations of their segments are deleted. This cannot be undone."
        : "The file, its labels and the explanations of its segments are deleted. This cannot be undone.",
      "Segments that somebody marked or corrected stay as examples, and an example keeps its image. Remove such examples on the page Exemplars.",
    ],
    many ? `Delete ${count} images` : "Delete the image",
  );
}
