/** Files that are sent to the service, one after another. */

import * as api from "../lib/api.js";
import { Problem } from "../lib/http.js";
import { Photo } from "../lib/photo.js";
import { UploadProgress } from "./upload_progress.js";

/** @typedef {import("../lib/types.js").Answer} Answer */
/**
 * @typedef {object} Actions
 * @property {(photo: Photo) => void} preview show the image while it is sent
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
    this.queue = Promise.resolve();
  }

  /** @param {File[]} files @returns {Promise<void>} when each has been answered or refused */
  send(files) {
    for (const file of files) this.queue = this.queue.then(() => this.#sendOne(file));
    return this.queue;
  }

  /**
   * Segment the image of an answer again, with another number of segments.
   * @param {string} segmentationId
   * @param {number|null} segments
   * @returns {Promise<boolean>} false where the service has not stored the image
   */
  async sendAgain(segmentationId, segments) {
    this.segments = segments;
    this.file ??= await storedImage(segmentationId);
    if (!this.file) return false;
    await this.send([this.file]);
    return true;
  }

  /** @param {File} file */
  async #sendOne(file) {
    try {
      rejectOtherFiles(file);
      const signal = this.progress.start(file.name || "image");
      const photo = await Photo.decode(file);
      if (photo) this.actions.preview(photo);
      const answer = await api.segment(file, (share) => this.progress.update(share), signal, this.segments);
      this.file = file;
      this.actions.answered(answer, photo);
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
  return new File([content], "image", { type: content.type });
}

/** Refuse what cannot be an image without sending it. @param {File} file @throws {Problem} */
function rejectOtherFiles(file) {
  if (file.size === 0) throw new Problem(400, { detail: "The file is empty.", fix: "Choose another file." });
  if (OTHER_KINDS.test(file.type))
    throw new Problem(415, {
      detail: "This file is not an image.",
      allowed: "JPEG, PNG, WebP, TIFF, BMP or GIF",
      fix: "Choose an image.",
    });
}
