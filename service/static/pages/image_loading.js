/** How an image comes to the image page: sent by the user, or loaded by its address. */

import * as api from "../lib/api.js";
import { Problem } from "../lib/http.js";
import { keyOf } from "../lib/images.js";
import { Photo } from "../lib/photo.js";
import { confirmDeletion } from "../parts/confirm_dialog.js";
import { ImageInput } from "../parts/image_input.js";
import { PageSelector } from "../parts/page_selector.js";
import { StartPart } from "../parts/start.js";
import { isUntaught } from "../parts/teach_me.js";
import { UploadQueue } from "../parts/upload_queue.js";

/** @typedef {import("../lib/types.js").Answer} Answer */
/** @typedef {import("./image_page.js").ImagePage} ImagePage */

const NOT_STORED = {
  detail: "This image is not stored.",
  fix: "It was deleted, or the address is wrong. Choose an image, or open a recent one.",
};

export class ImageLoading {
  /** @param {ImagePage} page */
  constructor(page) {
    this.page = page;
    this.input = new ImageInput();
    this.uploads = new UploadQueue({
      preview: (photo) => this.#preview(photo),
      answered: (answer, photo) => this.#answered(answer, photo),
      refused: (error, name) => this.#refused(error, name),
    });
    this.pages = new PageSelector((number) => this.uploads.sendPage(number));
    this.start = new StartPart(page.context, (files) => this.#send(files));
    this.input.welcome.append(this.start.element);
    this.replaced = false; // whether another release was served while another page was shown
    this.run = 0; // number of the last load; an earlier one that ends later is ignored
  }

  connect() {
    const { classes, releases } = this.page.context;
    releases.on("served", () => this.segmentAgain());
    this.input.on("files", (files) => this.#send(files));
    this.input.on("batch", (files) => {
      this.page.context.navigate("#/images");
      this.page.context.gallery.add(files);
    });
    this.page.image.element.append(this.pages.element);
    this.page.recent.on("delete", () => this.#delete());
    this.page.context.images.on("deleted", (keys) => this.#deleted(keys));
    classes.on("changed", () => this.input.introduce(isUntaught(classes.list), classes.list.length > 0));
  }

  /** Load a stored segmentation. @param {string} id */
  async load(id) {
    const { page } = this;
    const run = ++this.run;
    this.input.clearProblem();
    if (!page.answer) this.#showWaiting();
    try {
      const [found, photo, edits] = await Promise.all([
        api.getSegmentation(id),
        Photo.load(api.imageUrl(id)),
        api.listEdits(1),
      ]);
      const answer = this.#isBehind(found) ? await api.relabel(id).catch(() => found) : found;
      if (run !== this.run) return;
      if (answer !== found) page.context.setAddress(`#/s/${answer.segmentation_id}`, false);
      this.uploads.file = null;
      page.showAnswer(answer, photo);
      this.pages.show(answer, false);
      page.image.outdated.show(answer, edits[0]?.revision ?? 0);
    } catch (error) {
      if (run !== this.run) return;
      this.goHome(); // and not another image below an address that is not its own
      const missing = error instanceof Problem && error.status === 404;
      this.input.showProblem(missing ? new Problem(404, NOT_STORED) : error, "");
    }
  }

  /** Whether an answer has no label only because it is older than all exemplars. @param {Answer} answer */
  #isBehind(answer) {
    return answer.segments.every((one) => one.class_id === null) && !isUntaught(this.page.context.classes.list);
  }

  /** Show the start page instead of an image. */
  goHome() {
    const { page } = this;
    this.run++;
    this.input.clearProblem(); // of another address
    if (page.explanation.isOpen) page.close(false);
    page.answer = null;
    page.panel.hidden = true;
    page.element.classList.remove("waiting");
    page.recent.refresh();
    page.recent.markCurrent("");
    this.#setWorking(false);
  }

  /** Delete the image that is shown, after a question. */
  async #delete() {
    const { answer, context } = this.page;
    if (!answer || !(await confirmDeletion(1))) return;
    await context.images.delete([answer]).then(
      () => context.notify("The image was deleted"),
      (error) => context.showProblem(error),
    );
  }

  /** Images were deleted, perhaps the one that is shown. @param {Set<string>} keys */
  #deleted(keys) {
    const { answer, context, element, recent } = this.page;
    recent.refresh();
    if (!answer || !keys.has(keyOf(answer))) return;
    this.goHome();
    if (!element.hidden) context.setAddress("#/", false);
  }

  /** Segment the image with the release that is served now, at once or when the page is shown again. */
  async segmentAgain() {
    this.page.edits.outdated = false;
    this.replaced = this.page.element.hidden;
    if (!this.replaced) await this.setDetail(this.uploads.segments);
  }

  /** Segment the image again. @param {number|null} segments that pixel sorting starts with */
  async setDetail(segments) {
    const { answer, context, recent } = this.page;
    this.uploads.segments = segments;
    if (!answer) return;
    if (await this.uploads.sendAgain(answer.segmentation_id, segments)) recent.refresh();
    else context.notify("The image is not stored any more. Choose it again to segment it with this detail.");
  }

  /** The image is shown, and nothing is awaited. */
  finish() {
    this.#setWorking(true);
    this.page.element.classList.remove("waiting");
  }

  /** @param {File[]} files */
  async #send(files) {
    const { context, element, recent } = this.page;
    if (element.hidden) context.navigate("#/");
    await this.uploads.send(files);
    recent.refresh();
  }

  /** @param {Photo|null} photo of an image that is being sent; null where the browser cannot show it */
  #preview(photo) {
    this.#showWaiting();
    this.page.image.preview(photo);
  }

  /** @param {Answer} answer @param {Photo|null} photo */
  #answered(answer, photo) {
    this.page.showAnswer(answer, photo);
    this.pages.show(answer, true);
    this.page.context.setAddress(`#/s/${answer.segmentation_id}`, true);
  }

  /** @param {unknown} error @param {string} name of the file */
  #refused(error, name) {
    const { page } = this;
    if (page.answer) {
      if (page.element.classList.contains("waiting")) page.showAnswer(page.answer, page.image.photo);
      page.setAddress(false);
      page.context.showProblem(error, name);
    } else {
      this.#setWorking(false);
      page.element.classList.remove("waiting");
      page.panel.hidden = true;
      this.input.showProblem(error, name);
    }
  }

  #showWaiting() {
    this.#setWorking(true);
    this.page.panel.hidden = false;
    this.page.element.classList.add("waiting");
  }

  /** @param {boolean} working whether an image is shown instead of the welcome */
  #setWorking(working) {
    this.input.welcome.hidden = working;
    this.page.work.hidden = !working;
    this.page.element.classList.toggle("busy", working);
  }
}
