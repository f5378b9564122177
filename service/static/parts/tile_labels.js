/** The labels over the thumbnails of the gallery, drawn when a tile is seen. */

import * as api from "../lib/api.js";
import { button } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { labelThumbnail } from "../lib/label_thumbnail.js";

const SIZE = 320; // pixels; as many as the thumbnails have
const AT_ONCE = 2; // requests
const KEY = "gallery-labels"; // in the browser's storage

export class TileLabels {
  constructor() {
    this.running = 0;
    /** @type {HTMLElement[]} tiles that were seen, the first one waits longest */
    this.waiting = [];
    this.observer = new IntersectionObserver((seen) => this.#seen(seen), { rootMargin: "200px" });
    this.toggle = button({ class: "labels-toggle", on: { click: () => this.#switch() } }, icon("outline"), "Show labels");
    this.shown = stored();
    this.#update();
  }

  /** Draw the labels of a stored image when it is seen. @param {HTMLElement} tile with the id of the answer */
  watch(tile) {
    if (this.shown) this.observer.observe(tile);
  }

  /** Shows or hides the labels of all tiles. Tiles of later lists call `watch` again. */
  #switch() {
    this.shown = !this.shown;
    try {
      localStorage.setItem(KEY, String(this.shown));
    } catch {
      // Storage is forbidden: the choice lasts for this visit.
    }
    this.#update();
    for (const tile of document.querySelectorAll(".tile[data-id]")) {
      tile.querySelector(".tile-labels")?.remove();
      if (tile instanceof HTMLElement) this.watch(tile);
    }
  }

  #update() {
    this.toggle.setAttribute("aria-pressed", String(this.shown));
    if (this.shown) return;
    this.observer.disconnect();
    this.waiting = [];
  }

  /** @param {IntersectionObserverEntry[]} seen */
  #seen(seen) {
    for (const { target, isIntersecting } of seen)
      if (isIntersecting && target instanceof HTMLElement) {
        this.observer.unobserve(target);
        this.waiting.push(target);
      }
    while (this.running < AT_ONCE && this.waiting.length) this.#draw();
  }

  async #draw() {
    const tile = this.waiting.shift();
    const view = tile?.querySelector("a");
    if (!tile?.isConnected || !view) return;
    this.running++;
    try {
      const answer = await api.getSegmentation(tile.dataset.id ?? "");
      const canvas = labelThumbnail(answer, SIZE);
      canvas.className = "tile-labels";
      canvas.setAttribute("aria-hidden", "true");
      if (this.shown) view.append(canvas);
    } catch {
      // The image was deleted, or the service is busy: the photo is shown without labels.
    }
    this.running--;
    this.#seen([]);
  }
}

function stored() {
  try {
    return localStorage.getItem(KEY) !== "false";
  } catch {
    return true; // storage is forbidden
  }
}
