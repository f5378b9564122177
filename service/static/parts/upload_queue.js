/** Files that are sent to the service, one after another. */

import * as api from "../lib/api.js";
import { pageName } from "../lib/batch.js";
import { rememberFileName } from "../lib/file_names.js";
import { Problem } from "../lib/http.js";
import { Photo } from "../lib/photo.js";
import { UploadProgress } from "./upload_progress.js";

/** @typedef {import("../lib/types.js").Answer} Answer */
/**
 * @typedef {object} Actions
 * @property {(photo: Photo|null) => void} preview show the image while it is sent; null: the browser cannot
 * @property {(answer: Answer, photo: Photo|null) => void} answered
 * @property {(error: unknown, name: string) => void} refused name: of the file
 */

const OTHER_KINDS = /^(video|audio|text|font)\/|^application\/(pdf|zip|json|msword|vnd)/;

export class UploadQueue {
  /** @param {Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.progress = new UploadProgress();
    /** @type {number|null} that pixel sorting starts with; null: the release's own number */
    this.segments = null;
    /** @type {File|null} the file that was answered last */
    this.file = null;
    this.page = 0; // of that file
    this.queue = Promise.resolve();
  }

  /** @param {File[]} files @returns {Promise<void>} when each has been answered or refused */
  send(files) {
    for (const file of files) this.queue = this.queue.then(() => this.#sendOne(file, 0));
    return this.queue;
  }

  /** Segment another page of the file that was answered last. @param {number} page from 0 */
  async sendPage(page) {
    const { file } = this;
    if (file) await (this.queue = this.queue.then(() => this.#sendOne(file, page)));
  }

  /**
   * Segment the image of an answer again, with another number of segments.
   * @param {string} segmentationId
   * @param {number|null} segments
   * @returns {Promise<boolean>} false where the service has not stored the image
   */
  async sendAgain(segmentationId, segments) {
    this.segments = segments;
    const file = this.file ?? (await storedImage(segmentationId));
    if (!file) return false;
    const page = this.file ? this.page : 0; // a stored image is one page alone
    await (this.queue = this.queue.then(() => this.#sendOne(file, page)));
    return true;
  }

  /** @param {File} file @param {number} page from 0 */
  async #sendOne(file, page) {
    try {
      rejectOtherFiles(file);
      const signal = this.progress.start(file.name || "image");
      const photo = page ? null : await Photo.decode(file); // browsers show the first page
      this.actions.preview(photo);
      const options = { page, segments: this.segments };
      const answer = await api.segment(file, (share) => this.progress.update(share), signal, options);
      rememberFileName(answer.image_id, pageName(file.name, page));
      this.file = file;
      this.page = page;
      const rendering = photo || !answer.image_url ? null : await Photo.rendering(answer.image_url);
      this.actions.answered(answer, photo ?? rendering);
    } catch (error) {
      this.actions.refused(error, file.name);
    } finally {
      this.progress.end();
    }
  }
}

/** @param {string} segmentationId @returns {Promise<File|null>} */
async function storedImage(segmentationId) {
  const answer = await fetch(api.imageUrl(segmentationId)).catch(() => null);
  if (!answer?.ok) return null;
  const content = await answer.blob();
  return new File([content], "", { type: content.type });
}

/** Refuse what cannot be an image without sending it. @param {File} file @throws {Problem} */
function rejectOtherFiles(file) {
  if (file.size === 0) throw new Problem(400, { detail: "The file is empty.", fix: "Choose another file." });
  if (OTHER_KINDS.test(file.type))
    throw new Problem(415, {
      detail: "This file is not an image.",
      allowed: "JPEG, PNG, WebP, AVIF, TIFF, JPEG 2000, BMP, GIF or PNM",
      fix: "Choose an image.",
    });
}
