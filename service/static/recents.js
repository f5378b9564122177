/** The pictures answered of late, as a strip. */

import * as api from "./api.js";
import { ago, counted, current, h } from "./dom.js";

/** @typedef {import("./types.js").Recent} Recent */

const SHOWN = 16;

export class Recents {
  /** @param {(segmentationId: string) => void} open */
  constructor(open) {
    this.open = open;
    this.list = h("ul", { class: "strip" });
    this.element = h(
      "nav",
      { class: "recents", "aria-label": "Recent pictures", hidden: true },
      h("h2", {}, "Recent"),
      this.list,
    );
    this.current = "";
  }

  async refresh() {
    /** @type {Recent[]} */
    const answers = await api.get("/segmentations?limit=48").catch(() => []);
    /** @type {Map<string, Recent>} a picture that was relabelled is shown once, by its newest answer */
    const pictures = new Map();
    for (const one of answers) {
      const key = one.image_id ?? one.image_url ?? one.segmentation_id;
      if (!pictures.has(key)) pictures.set(key, one);
    }
    this.list.replaceChildren(...[...pictures.values()].slice(0, SHOWN).map((one) => this.#item(one)));
    this.element.hidden = !answers.length;
    this.mark(this.current);
  }

  /** @param {string} segmentationId */
  mark(segmentationId) {
    this.current = segmentationId;
    for (const button of this.list.querySelectorAll("button")) current(button, button.dataset.id === segmentationId);
  }

  /** @param {Recent} one */
  #item(one) {
    const picture = one.image_url
      ? h("img", { src: one.image_url, alt: "", loading: "lazy", decoding: "async" })
      : h("span", { class: "missing", "aria-hidden": "true" }, "not kept");
    picture.addEventListener("error", () =>
      picture.replaceWith(h("span", { class: "missing", "aria-hidden": "true" }, "no preview")),
    );
    const said = `${counted(one.segments, "segment")}, ${one.width}×${one.height}, ${ago(one.created)}`;
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          title: said,
          "aria-label": `Picture of ${said}`,
          dataset: { id: one.segmentation_id },
          on: { click: () => this.open(one.segmentation_id) },
        },
        picture,
      ),
    );
  }
}
