/** The images that were segmented last, as a row of thumbnails. */

import * as api from "../lib/api.js";
import { h, markCurrent } from "../lib/dom.js";
import { iconButton } from "../lib/elements.js";
import { Emitter } from "../lib/emitter.js";
import { fileNameOf } from "../lib/file_names.js";
import { counted, timeAgo } from "../lib/format.js";

/** @typedef {import("../lib/types.js").AnswerSummary} AnswerSummary */

const THUMBNAIL = 160; // pixels
const SHOWN = 16; // images

/**
 * Emits "delete" when a person wants to delete the image that is shown.
 * @extends {Emitter<{delete: null}>}
 */
export class RecentImages extends Emitter {
  /** @param {(segmentationId: string) => void} open */
  constructor(open) {
    super();
    this.open = open;
    this.list = h("ul", { class: "strip" });
    this.remove = iconButton("trash", "Delete this image", { on: { click: () => this.emit("delete", null) } });
    this.element = h(
      "nav",
      { class: "recents", "aria-label": "Recent images", hidden: true },
      h("h2", {}, "Recent"),
      this.list,
      h("span", { class: "gap" }),
      this.remove,
      h("a", { href: "#/images", class: "recents-more" }, "All images"),
    );
    this.currentId = "";
  }

  /** Load the list anew. Without an answer of the service it is empty. */
  async refresh() {
    const images = await api.listImages(SHOWN).catch(() => /** @type {AnswerSummary[]} */ ([]));
    this.list.replaceChildren(...images.map((one) => this.#item(one)));
    this.markCurrent(this.currentId);
  }

  /**
   * Mark the image that is shown. The row has its room from then on, so that the image does not move when the list arrives.
   * @param {string} segmentationId
   */
  markCurrent(segmentationId) {
    this.currentId = segmentationId;
    this.remove.hidden = !segmentationId;
    this.element.hidden = !segmentationId && !this.list.childElementCount;
    for (const button of this.list.querySelectorAll("button"))
      markCurrent(button, button.dataset.id === segmentationId);
  }

  /** @param {AnswerSummary} one */
  #item(one) {
    const facts = `${counted(one.segments, "segment")}, ${one.width}×${one.height}, ${timeAgo(one.created)}`;
    const name = fileNameOf(one.image_id);
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          title: name ? `${name}: ${facts}` : facts,
          "aria-label": name ? `Image ${name} with ${facts}` : `Image with ${facts}`,
          dataset: { id: one.segmentation_id },
          on: { click: () => this.open(one.segmentation_id) },
        },
        preview(one),
      ),
    );
  }
}

/** @param {AnswerSummary} one */
function preview(one) {
  const note = (/** @type {string} */ text) => h("span", { class: "missing", "aria-hidden": "true" }, text);
  if (!one.image_url) return note("not stored");
  const image = h("img", { src: api.thumbnailUrl(one.image_url, THUMBNAIL), alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(note("no preview")));
  return image;
}
