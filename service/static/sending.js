/** Pictures on their way to the service, one after another. */

import * as api from "./api.js";
import { Progress, refusedAtOnce } from "./intake.js";
import { Photo } from "./photo.js";

/** @typedef {import("./types.js").Answer} Answer */
/**
 * @typedef {object} Does
 * @property {(photo: Photo) => void} preview the picture while it is on the way
 * @property {(answer: Answer, photo: Photo|null) => void} arrived
 * @property {(error: unknown, name: string) => void} refused
 */

export class Sending {
  /** @param {Does} does */
  constructor(does) {
    this.does = does;
    this.progress = new Progress();
    /** @type {number|null} that sorting starts with; null: as the release says */
    this.segments = null;
    /** @type {File|null} what was answered last */
    this.file = null;
    this.queue = Promise.resolve();
  }

  /** @param {File[]} files @returns {Promise<void>} when all are answered or refused */
  send(files) {
    for (const file of files) this.queue = this.queue.then(() => this.#one(file));
    return this.queue;
  }

  /**
   * The picture of an answer once more, in more or fewer segments.
   * @param {string} segmentationId
   * @param {number|null} segments
   * @returns {Promise<boolean>} false where the service has not kept it
   */
  async again(segmentationId, segments) {
    this.segments = segments;
    if (!this.file) {
      const answer = await fetch(`/segmentations/${segmentationId}/image`).catch(() => null);
      if (!answer?.ok) return false;
      const content = await answer.blob();
      this.file = new File([content], "picture", { type: content.type });
    }
    await this.send([this.file]);
    return true;
  }

  /** @param {File} file */
  async #one(file) {
    try {
      const refused = refusedAtOnce(file);
      if (refused) throw refused;
      const signal = this.progress.start(file.name || "picture");
      const photo = await Photo.of(file);
      if (photo) this.does.preview(photo);
      const answer = await api.segment(file, (share) => this.progress.sent(share), signal, this.segments);
      this.file = file;
      this.does.arrived(answer, photo);
    } catch (error) {
      this.does.refused(error, file.name);
    } finally {
      this.progress.end();
    }
  }
}
