/** The images that were segmented last, as a row of thumbnails. */

import * as api from "../lib/api.js";
import { h, markCurrent } from "../lib/dom.js";
import { counted, timeAgo } from "../lib/format.js";

/** @typedef {import("../lib/types.js").AnswerSummary} AnswerSummary */

const ASKED = 48; // answers; several may be of one image
const SHOWN = 16; // images

export class RecentImages {
  /** @param {(segmentationId: string) => void} open */
  constructor(open) {
    this.open = open;
    this.list = h("ul", { class: "strip" });
    this.element = h(
      "nav",
      { class: "recents", "aria-label": "Recent images", hidden: true },
      h("h2", {}, "Recent"),
      this.list,
    );
    this.currentId = "";
  }

  /** Load the list anew. Without an answer of the service it is empty. */
  async refresh() {
    const answers = await api.listSegmentations(ASKED).catch(() => /** @type {AnswerSummary[]} */ ([]));
    const images = newestOfEachImage(answers).slice(0, SHOWN);
    this.list.replaceChildren(...images.map((one) => this.#item(one)));
    this.element.hidden = !images.length;
    this.markCurrent(this.currentId);
  }

  /** Mark the image that is shown. @param {string} segmentationId */
  markCurrent(segmentationId) {
    this.currentId = segmentationId;
    for (const button of this.list.querySelectorAll("button"))
      markCurrent(button, button.dataset.id === segmentationId);
  }

  /** @param {AnswerSummary} one */
  #item(one) {
    const facts = `${counted(one.segments, "segment")}, ${one.width}×${one.height}, ${timeAgo(one.created)}`;
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          title: facts,
          "aria-label": `Image with ${facts}`,
          dataset: { id: one.segmentation_id },
          on: { click: () => this.open(one.segmentation_id) },
        },
        preview(one),
      ),
    );
  }
}

/** Relabelling gives an image several answers; keep the first of each. @param {AnswerSummary[]} answers newest first */
function newestOfEachImage(answers) {
  /** @type {Map<string, AnswerSummary>} */
  const images = new Map();
  for (const one of answers) {
    const key = one.image_id ?? one.image_url ?? one.segmentation_id;
    if (!images.has(key)) images.set(key, one);
  }
  return [...images.values()];
}

/** @param {AnswerSummary} one */
function preview(one) {
  const note = (/** @type {string} */ text) => h("span", { class: "missing", "aria-hidden": "true" }, text);
  if (!one.image_url) return note("not stored");
  const image = h("img", { src: one.image_url, alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(note("no preview")));
  return image;
}
