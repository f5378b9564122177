/** The grid of images: those of the queue, then the stored ones, newest first. More are loaded as one scrolls. */

import * as api from "../lib/api.js";
import { h } from "../lib/dom.js";
import { Emitter } from "../lib/emitter.js";
import { keyOf } from "../lib/images.js";
import { QueuedTile, shownOf, storedTile } from "./image_tiles.js";
import { TileLabels } from "./tile_labels.js";

/** @typedef {import("../lib/batch.js").Batch} Batch */
/** @typedef {import("../lib/batch.js").BatchItem} BatchItem */
/** @typedef {import("../lib/types.js").AnswerSummary} AnswerSummary */

const PAGE = 60; // images that are loaded at once
const MOST = 1000; // that an export or "Select all" takes

/**
 * Emits "selected" when the selection changed, and "problem" when images could not be loaded.
 * @extends {Emitter<{selected: null, problem: unknown}>}
 */
export class Gallery extends Emitter {
  /** @param {Batch} batch */
  constructor(batch) {
    super();
    this.batch = batch;
    /** @type {Map<string, AnswerSummary>} by key, in the order of the list */
    this.stored = new Map();
    /** @type {Map<string, HTMLElement>} */
    this.tiles = new Map();
    /** @type {Map<BatchItem, QueuedTile>} */
    this.queued = new Map();
    /** @type {Set<string>} keys */
    this.selected = new Set();
    this.labels = new TileLabels();
    this.last = ""; // key of the tile that was picked last, where a range begins
    this.complete = false;
    /** @type {Promise<void>|null} */
    this.loading = null;
    this.queue = h("ul", { class: "tiles", "aria-label": "Images of the queue" });
    this.list = h("ul", { class: "tiles", "aria-label": "Stored images" });
    this.end = h("div", { class: "gallery-end" });
    this.element = h("div", { class: "gallery" }, this.queue, this.list, this.end);
    this.list.addEventListener("keydown", (event) => this.#key(event));
    new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.#more(), { rootMargin: "600px" }).observe(
      this.end,
    );
    batch.on("changed", () => this.#showQueue());
    batch.on("item", (item) => this.queued.get(item)?.update());
    batch.on("answered", (item) => this.#answered(item));
  }

  /** The selected images, in the order of the list. */
  get selection() {
    return [...this.stored].filter(([key]) => this.selected.has(key)).map(([, one]) => one);
  }

  /** Load the list anew, as far as it was loaded. While no image comes or goes, all stay in their places. */
  async refresh() {
    const limit = Math.min(Math.max(this.stored.size, PAGE), MOST);
    await this.#load(async () => {
      const images = await api.listImages(limit);
      this.complete = images.length < limit;
      this.#replace(inPlaces(images, [...this.stored.keys()]));
      for (const key of this.selected) if (!this.stored.has(key)) this.selected.delete(key);
    });
    this.emit("selected", null);
  }

  /** Select every image, also those that are not loaded yet, up to the largest number that one export takes. */
  async selectAll() {
    for (let vain = 0; !this.complete && this.stored.size < MOST && vain < 3; ) {
      const before = this.stored.size;
      await this.#more(); // or the end of a loading that is under way, which may bring no further images
      vain = this.stored.size === before ? vain + 1 : 0;
    }
    this.#select([...this.stored.keys()].slice(0, MOST), true);
  }

  selectNone() {
    this.#select([...this.selected], false);
  }

  /** Images were deleted. @param {Set<string>} keys */
  remove(keys) {
    const focus = this.#indexOfFocus();
    for (const key of keys) {
      this.stored.delete(key);
      this.tiles.get(key)?.remove();
      this.tiles.delete(key);
      this.selected.delete(key);
    }
    if (focus >= 0) this.#focus(Math.min(focus, this.list.children.length - 1));
    this.emit("selected", null);
  }

  async #more() {
    const last = [...this.stored.values()].at(-1);
    if (this.complete || this.loading || !last) return this.loading;
    await this.#load(async () => {
      const images = await api.listImages(PAGE, last.segmentation_id);
      this.complete = images.length < PAGE;
      this.#add(images);
    });
  }

  /** @param {() => Promise<void>} load */
  async #load(load) {
    await this.loading;
    this.list.setAttribute("aria-busy", "true");
    this.loading = load().catch((error) => {
      this.complete = true; // until the page is shown again
      this.emit("problem", error);
    });
    await this.loading;
    this.loading = null;
    this.list.removeAttribute("aria-busy");
  }

  /** Show these images in place of the present ones. A tile that would look the same stays: a click on it is not lost. @param {AnswerSummary[]} images */
  #replace(images) {
    const { stored, tiles } = this;
    this.stored = new Map(images.map((one) => [keyOf(one), one]));
    this.tiles = new Map();
    for (const [key, one] of this.stored) {
      const [before, tile] = [stored.get(key), tiles.get(key)];
      if (before && tile && shownOf(before) === shownOf(one)) this.tiles.set(key, tile);
      else this.#tile(key, one);
    }
    for (const [key, tile] of tiles) if (this.tiles.get(key) !== tile) tile.remove();
    [...this.tiles.values()].forEach((tile, n) => {
      if (this.list.children[n] !== tile) this.list.insertBefore(tile, this.list.children[n] ?? null);
    });
  }

  /** @param {AnswerSummary[]} images to append */
  #add(images) {
    const added = images.filter((one) => !this.stored.has(keyOf(one)));
    for (const one of added) this.stored.set(keyOf(one), one);
    this.list.append(...added.map((one) => this.#tile(keyOf(one), one)));
  }

  /** @param {string} key @param {AnswerSummary} one */
  #tile(key, one) {
    const tile = storedTile(one, { pick: (_, picked, range) => this.#pick(key, picked, range) });
    this.tiles.set(key, tile);
    this.#mark(key);
    this.labels.watch(tile);
    return tile;
  }

  #showQueue() {
    const { items } = this.batch;
    for (const item of items)
      if (item.state !== "answered" && !this.queued.has(item)) {
        const actions = { retry: () => this.batch.retry([item]), forget: () => this.batch.forget([item]) };
        const tile = new QueuedTile(item, actions);
        this.queued.set(item, tile);
        this.queue.append(tile.element);
      }
    const present = new Set(items);
    for (const [item, tile] of this.queued)
      if (!present.has(item) || item.state === "answered") {
        tile.element.remove();
        this.queued.delete(item);
      }
  }

  /** Show an image of the queue as a stored one. @param {BatchItem} item */
  #answered({ answer }) {
    if (!answer) return;
    const { segmentation_id, image_id, image_url, width, height, page, pages, index_revision } = answer;
    const { release, release_digest } = answer;
    const image = { segmentation_id, image_id, image_url, width, height, page, pages };
    const facts = { ...image, release, release_digest, index_revision };
    const created = new Date().toISOString();
    const key = keyOf(answer);
    const marked = this.stored.get(key)?.marked ?? 0; // marks outlive an update of the labels
    const one = { ...facts, created, segments: answer.segments.length, marked, outdated: false, pinned: false };
    this.tiles.get(key)?.remove();
    this.stored.delete(key);
    this.stored = new Map([[key, one], ...this.stored]);
    this.list.prepend(this.#tile(key, one));
  }

  /** @param {string} key @param {boolean} picked @param {boolean} range whether all from the last one are meant */
  #pick(key, picked, range) {
    const keys = [...this.stored.keys()];
    const [from, to] = [keys.indexOf(this.last), keys.indexOf(key)].sort((a, b) => a - b);
    this.#select(range && from >= 0 ? keys.slice(from, to + 1) : [key], picked);
    this.last = key;
  }

  /** @param {string[]} keys @param {boolean} selected */
  #select(keys, selected) {
    for (const key of keys) {
      if (selected) this.selected.add(key);
      else this.selected.delete(key);
      this.#mark(key);
    }
    this.emit("selected", null);
  }

  /** Show whether an image is selected. @param {string} key */
  #mark(key) {
    const tile = this.tiles.get(key);
    const box = tile?.querySelector("input");
    if (!tile || !box) return;
    box.checked = this.selected.has(key);
    tile.classList.toggle("picked", box.checked);
  }

  /** Arrow keys go from tile to tile. @param {KeyboardEvent} event */
  #key(event) {
    const index = this.#indexOfFocus();
    const columns = getComputedStyle(this.list).gridTemplateColumns.split(" ").length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (index < 0 || step === undefined || index + step < 0) return;
    event.preventDefault();
    this.#focus(index + step);
  }

  #indexOfFocus() {
    const tile = document.activeElement?.closest(".tile") ?? null;
    return tile ? [...this.list.children].indexOf(tile) : -1;
  }

  /** @param {number} index of a tile */
  #focus(index) {
    const part = document.activeElement instanceof HTMLInputElement ? "input" : "a";
    const target = this.list.children[index]?.querySelector(part);
    if (target instanceof HTMLElement) target.focus();
  }
}

/**
 * The images in the order of keys if both name the same ones: answers arrive in another order than the service records them, and no
 * image should move under the pointer. Otherwise the images as they are.
 * @param {AnswerSummary[]} images @param {string[]} keys
 */
function inPlaces(images, keys) {
  const byKey = new Map(images.map((one) => [keyOf(one), one]));
  const found = keys.flatMap((key) => byKey.get(key) ?? []);
  return found.length === byKey.size && byKey.size === keys.length ? found : images;
}
