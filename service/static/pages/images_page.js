/** The page of images: add many, watch the queue, open, select, export and delete. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { saveBlob } from "../lib/download.js";
import { iconButton } from "../lib/elements.js";
import { imagesAmong } from "../lib/dropped_files.js";
import { namesByAnswer } from "../lib/file_names.js";
import { counted } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { BatchBar } from "../parts/batch_bar.js";
import { confirmDeletion } from "../parts/confirm_dialog.js";
import { exportMenu } from "../parts/export_menu.js";
import { Gallery } from "../parts/gallery.js";
import { ImageJobs, MANY } from "../parts/image_jobs.js";
import { isUntaught } from "../parts/teach_me.js";

/** @typedef {import("../lib/images.js").AnswerSummary} AnswerSummary */
/** @typedef {import("../parts/context.js").Context} Context */
/** @typedef {import("../parts/export_menu.js").Choice} Choice */

const ACCEPTED = "image/*,.tif,.tiff,.jp2,.j2k,.avif,.heic,.heif,.pgm,.ppm,.pnm";

export class ImagesPage {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.title = "Images";
    this.gallery = new Gallery(context.batch);
    this.bar = new BatchBar(context.batch);
    this.jobs = new ImageJobs(context, (files) => context.batch.add(files));
    this.files = this.#input("Images to add", { accept: ACCEPTED });
    this.folder = this.#input("A folder to add", { webkitdirectory: true });
    this.privacy = h("p", { class: "fine" });
    this.update = button({ hidden: true, on: { click: () => this.updateOutdated() } }, icon("redo"), "Update labels");
    this.count = h("strong", { role: "status" });
    this.pin = button({ title: "Pinned images are kept when old ones are deleted", on: { click: () => this.#pin() } }, icon("pin"), "Pin");
    this.tray = this.#tray();
    this.empty = h(
      "div",
      { class: "empty", hidden: true },
      icon("image"),
      h("p", {}, "No images yet. Drop images or a folder here, or add them with the buttons above."),
    );
    this.open = h("a", { class: "button primary" }, "Open an image");
    this.next = h(
      "div",
      { class: "next-step", hidden: true },
      h("p", {}, "Next: teach it. Open an image, name one thing that you see, and paint a stroke over it."),
      this.open,
    );
    this.element = this.#layout();
    this.#connect();
  }

  async show() {
    const { caller } = this.context.session;
    this.privacy.textContent = !caller?.keys
      ? "Everybody who can reach this service sees all images, because it asks for no keys."
      : caller.role === "curator"
        ? "You see the images of all keys. Readers see only their own."
        : "You see the images of your key. Curators see them too.";
    this.context.jobs.refresh().catch(() => null);
    await this.gallery.refresh();
    this.#showEmpty();
  }

  /** Add files to the queue, or ask whether very many are to be segmented in the background. @param {File[]} files */
  add(files) {
    const { images, others } = imagesAmong(files);
    if (others)
      this.context.notify(`${counted(others, "file was", "files were")} left out: not an image of a format that can be read`);
    if (images.length > MANY) this.jobs.offer(images);
    else if (images.length) this.context.batch.add(images);
    this.#showEmpty();
  }

  /** The loaded images whose labels edits or another release may have changed. */
  get #outdated() {
    return [...this.gallery.stored.values()].filter((one) => one.outdated && one.image_url);
  }

  /** Load the list, and count the images whose labels may be others now. @returns {Promise<number>} */
  async countOutdated() {
    await this.gallery.refresh();
    return this.#outdated.length;
  }

  /** Bring the labels of all loaded images up to date. */
  updateOutdated() {
    this.#update(this.#outdated);
  }

  /** @param {AnswerSummary[]} images */
  #update(images) {
    this.context.batch.update(images, this.context.releases.served?.name ?? "");
    this.gallery.selectNone();
  }

  /** @param {string} name @param {import("../lib/dom.js").Properties} properties */
  #input(name, properties) {
    const change = () => {
      this.add([...(input.files ?? [])]);
      input.value = "";
    };
    const fixed = { type: "file", multiple: true, class: "unseen", tabIndex: -1, "aria-label": name, on: { change } };
    const input = h("input", { ...fixed, ...properties });
    return input;
  }

  #layout() {
    const choose = (/** @type {HTMLInputElement} */ input) => () => input.click();
    return h(
      "section",
      { class: "page images-page", "aria-label": "Images", hidden: true },
      h(
        "div",
        { class: "content" },
        h(
          "div",
          { class: "page-head" },
          h("h1", {}, "Images"),
          h("span", { class: "gap" }),
          button({ class: "primary", on: { click: choose(this.files) } }, icon("plus"), "Add images"),
          button({ on: { click: choose(this.folder) } }, icon("stack"), "Add a folder"),
          this.update,
          this.gallery.labels.toggle,
          button({ on: { click: () => this.gallery.selectAll() } }, icon("check"), "Select all"),
        ),
        this.privacy,
        this.bar.element,
        this.jobs.element,
        this.empty,
        this.next,
        this.gallery.element,
        this.tray,
        this.files,
        this.folder,
      ),
    );
  }

  /** What can be done with the selected images. */
  #tray() {
    return h(
      "div",
      { class: "tray", role: "group", "aria-label": "Selected images", hidden: true },
      this.count,
      button({ on: { click: () => this.#update(this.gallery.selection) } }, icon("redo"), "Update labels"),
      exportMenu("Export", (choice) => this.#export(choice)),
      this.pin,
      button({ class: "danger", on: { click: () => this.#delete() } }, icon("trash"), "Delete"),
      iconButton("close", "Select none", { on: { click: () => this.gallery.selectNone() } }),
    );
  }

  #connect() {
    const { batch, images, edits, releases, classes } = this.context;
    this.gallery.on("selected", () => {
      const { size } = this.gallery.selected;
      this.tray.hidden = !size;
      this.count.textContent = `${size} selected`;
      this.pin.lastChild?.replaceWith(this.#allPinned ? "Unpin" : "Pin");
    });
    this.gallery.on("problem", (error) => this.context.showProblem(error));
    images.on("deleted", (keys) => {
      this.gallery.remove(keys);
      this.#showEmpty();
    });
    edits.on("edited", () => !this.element.hidden && this.show());
    releases.on("served", () => !this.element.hidden && this.show());
    classes.on("changed", () => this.#showEmpty());
    this.jobs.on("ended", () => !this.element.hidden && this.show());
    batch.on("changed", () => this.#showEmpty());
    batch.on("ended", () => this.#ended());
    batch.on("answered", () => this.#showEmpty());
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  #ended() {
    const { batch } = this.context;
    const [done, failed] = [batch.count("answered"), batch.count("failed")];
    if (!this.element.hidden) this.gallery.refresh(); // a list that was loaded meanwhile may be older than the answers
    if (done + failed) this.context.notify(`${counted(done, "image")} segmented${failed ? `, ${failed} failed` : ""}`);
    this.#showEmpty();
  }

  #showEmpty() {
    const outdated = this.#outdated.length;
    this.update.hidden = !outdated || this.context.batch.isActive;
    this.update.lastChild?.replaceWith(`Update labels of ${counted(outdated, "image")}`);
    this.empty.hidden = this.gallery.stored.size > 0 || this.context.batch.items.length > 0;
    const [first] = this.gallery.stored.values();
    const { batch, classes, session } = this.context;
    this.next.hidden = !first || !session.mayEdit || batch.isActive || !isUntaught(classes.list);
    if (first) this.open.href = `#/s/${first.segmentation_id}`;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.target instanceof HTMLElement && event.target.closest("details")) return;
    if (event.key === "Delete" && this.gallery.selected.size) this.#delete();
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this.gallery.selectAll();
    else if (event.key === "Escape" && this.gallery.selected.size) this.gallery.selectNone();
    else return;
    event.preventDefault();
  }

  /** @param {Choice} choice */
  async #export(choice) {
    try {
      const images = this.gallery.selection;
      const ids = images.map((one) => one.segmentation_id);
      const { blob, name } = await api.exportSelection(ids, namesByAnswer(images), choice);
      saveBlob(blob, name);
      this.context.announce(`${counted(ids.length, "image")} exported.`);
    } catch (error) {
      this.context.showProblem(error);
    }
  }

  get #allPinned() {
    return this.gallery.selection.every((one) => one.pinned);
  }

  /** Pin the selected images, or unpin them if all are pinned. */
  async #pin() {
    const chosen = this.gallery.selection;
    const pinned = !this.#allPinned;
    this.tray.setAttribute("aria-busy", "true");
    try {
      for (const one of chosen) await api.setPinned(one.segmentation_id, pinned);
      this.context.notify(`${counted(chosen.length, "image")} ${pinned ? "pinned" : "unpinned"}`);
    } catch (error) {
      this.context.showProblem(error);
    } finally {
      this.tray.removeAttribute("aria-busy");
      await this.gallery.refresh();
    }
  }

  async #delete() {
    const chosen = this.gallery.selection;
    if (!(await confirmDeletion(chosen.length))) return;
    this.tray.setAttribute("aria-busy", "true");
    try {
      await this.context.images.delete(chosen);
      this.context.notify(`${counted(chosen.length, "image")} deleted`);
    } catch (error) {
      this.context.showProblem(error);
    } finally {
      this.tray.removeAttribute("aria-busy");
    }
  }
}
