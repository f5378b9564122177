/** The images that the service stores, as the pages share them. */

import * as api from "./api.js";
import { Emitter } from "./emitter.js";
import { forgetFileNames } from "./file_names.js";
import { Problem } from "./http.js";

/** @typedef {import("./types.js").AnswerSummary} AnswerSummary */

const GONE = 404;

/** What names an image: its file, or an answer of a time when files had no name. @param {Pick<AnswerSummary, "image_id"|"segmentation_id">} one */
export const keyOf = (one) => one.image_id ?? one.segmentation_id;

/**
 * Emits "deleted" with the keys of images that were deleted.
 * @extends {Emitter<{deleted: Set<string>}>}
 */
export class Images extends Emitter {
  /**
   * Delete images, one after another. Those before a failure are deleted.
   * @param {Pick<AnswerSummary, "image_id"|"segmentation_id">[]} images
   * @throws {Problem}
   */
  async delete(images) {
    /** @type {Set<string>} */
    const deleted = new Set();
    try {
      for (const one of images) {
        await api.deleteImage(one.segmentation_id).catch(ignoreGone);
        deleted.add(keyOf(one));
      }
    } finally {
      forgetFileNames(deleted);
      this.emit("deleted", deleted);
    }
  }
}

/** @param {unknown} error of an image that somebody else deleted meanwhile is no error */
function ignoreGone(error) {
  if (!(error instanceof Problem && error.status === GONE)) throw error;
}
