/** The tiles of the gallery: stored images, and images of the queue. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { fileNameOf } from "../lib/file_names.js";
import { counted, percent, timeAgo } from "../lib/format.js";
import { icon } from "../lib/icons.js";

/** @typedef {import("../lib/batch.js").BatchItem} BatchItem */
/** @typedef {import("../lib/types.js").AnswerSummary} AnswerSummary */
/** @typedef {{pick: (one: AnswerSummary, picked: boolean, range: boolean) => void}} TileActions */

const THUMBNAIL = 320; // pixels; twice those of the page, for dense screens

/**
 * A stored image: a link to it, and a box to select it.
 * @param {AnswerSummary} one
 * @param {TileActions} actions
 */
export function storedTile(one, { pick }) {
  const facts = [
    one.pages > 1 ? `page ${one.page + 1} of ${one.pages}` : "",
    `${one.width}×${one.height}`,
    timeAgo(one.created),
  ].filter(Boolean);
  const name = fileNameOf(one.image_id);
  const segments = counted(one.segments, "segment");
  const text = [name ? `image ${name} with` : "image with", `${segments}, ${facts.join(", ")}`].join(" ");
  const box = h("input", { type: "checkbox", "aria-label": `Select the ${text}` });
  box.addEventListener("click", (event) => pick(one, box.checked, event.shiftKey));
  box.addEventListener("keydown", (event) => event.key === "Enter" && box.click());
  return h(
    "li",
    { class: "tile", dataset: { id: one.segmentation_id } },
    h(
      "a",
      { href: `#/s/${one.segmentation_id}`, class: "tile-view", "aria-label": `Open the ${text}` },
      photoOf(one),
    ),
    h("label", { class: "tile-pick" }, box),
    h(
      "div",
      { class: "tile-text" },
      h("span", { class: "name", title: name }, name || segments),
      h("span", { class: "fine" }, [...(name ? [segments] : []), ...facts].join(" · ")),
    ),
    h("div", { class: "tags" }, ...tags(one)),
  );
}

/** What the tile of an image shows, as one text. @param {AnswerSummary} one */
export const shownOf = (one) =>
  JSON.stringify([
    [one.segmentation_id, one.image_url, fileNameOf(one.image_id), one.width, one.height, one.page, one.pages],
    [one.segments, timeAgo(one.created), one.marked, one.pinned, one.outdated],
  ]);

/** What a person should know about an image at a glance. @param {AnswerSummary} one */
function tags(one) {
  return [
    one.marked ? h("span", { class: "tag accent", title: `${counted(one.marked, "example")} marked in it` }, "marked") : null,
    one.pinned ? h("span", { class: "tag", title: "It is kept when old images are deleted." }, "pinned") : null,
    one.outdated
      ? h("span", { class: "tag warn", title: "Edits were made since it was labelled, or another release is served: update its labels." }, "outdated")
      : null,
  ].filter((tag) => tag !== null);
}

/** @param {AnswerSummary} one */
function photoOf(one) {
  const note = () => h("span", { class: "missing" }, "image not stored");
  if (!one.image_url) return note();
  const image = h("img", { src: api.thumbnailUrl(one.image_url, THUMBNAIL), alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(note()), { once: true });
  return image;
}

/** An image of the queue. It shows no preview: decoding hundreds of files would take the memory of the browser. */
export class QueuedTile {
  /** @param {BatchItem} item @param {{retry: () => void, forget: () => void}} actions */
  constructor(item, { retry, forget }) {
    this.item = item;
    this.state = h("span", { class: "fine tile-state" });
    this.sign = h("span", { class: "tile-view tile-sign" }, icon("image"));
    this.actions = h(
      "div",
      { class: "tile-actions" },
      button({ class: "small", "aria-label": `Try ${item.name} again`, on: { click: retry } }, "Try again"),
      button({ class: "small", "aria-label": `Remove ${item.name} from the queue`, on: { click: forget } }, "Remove"),
    );
    this.element = h(
      "li",
      { class: "tile queued" },
      this.sign,
      h("div", { class: "tile-text" }, h("span", { class: "name", title: item.name }, item.name), this.state),
      this.actions,
    );
    this.update();
  }

  update() {
    const { state } = this.item;
    this.element.dataset.state = state;
    this.state.textContent = textOf(this.item);
    this.actions.hidden = state !== "failed";
  }
}

/** @param {BatchItem} item */
function textOf({ state, share, message }) {
  if (state === "failed") return message;
  if (state === "sending") return `Sending, ${percent(share ?? 0)}`;
  return state === "segmenting" ? "Being segmented" : "Waiting";
}
