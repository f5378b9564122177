/** The edits made on this page. Each takes effect at once; the last can be undone. */

import * as api from "./api.js";
import { Emitter } from "./emitter.js";
import { Problem } from "./http.js";

/**
 * @typedef {import("./types.js").RelabelledAnswer} RelabelledAnswer
 * @typedef {import("./types.js").Edit} Edit
 * @typedef {{edit: Edit|null, relabelled: RelabelledAnswer|null}} EditResult edit: null where nothing had to change;
 *   relabelled: the corrected image with its new labels, null for other edits
 */

/**
 * Emits "edited" after every edit.
 * @extends {Emitter<{edited: EditResult}>}
 */
export class Edits extends Emitter {
  /** @param {() => Promise<void>} refreshClasses called before "edited" is emitted */
  constructor(refreshClasses) {
    super();
    this.refreshClasses = refreshClasses;
    /** @type {Edit[]} newest last */
    this.undoable = [];
  }

  /** The edit that `undo` would revert. */
  get last() {
    return this.undoable[this.undoable.length - 1] ?? null;
  }

  /** Correct the label of a segment. @param {string} segmentId @param {api.ClassChoice} choice */
  async label(segmentId, choice) {
    await this.#finish(await api.labelSegment(segmentId, choice));
  }

  /**
   * Add the labelled images of a ZIP archive: one edit for each image.
   * @param {File} file
   * @param {(share: number|null) => void} progress share that is sent, 0..1; null: sent, being read
   */
  async importArchive(file, progress) {
    const imported = await api.importArchive(file, progress, new AbortController().signal);
    await this.#finish({ edit: null });
    return imported;
  }

  /** @param {string[]} exemplarIds */
  async removeExemplars(exemplarIds) {
    await this.#finish(await api.removeExemplars(exemplarIds));
  }

  /** Make a class, or change the one of `class_id`. @param {Parameters<typeof api.saveClass>[0]} change */
  async saveClass(change) {
    await this.#finish(await api.saveClass(change));
  }

  /**
   * Revert an edit.
   * @param {number} revision
   * @param {boolean} [undoable] whether `undo` is to revert this one in turn
   */
  async revert(revision, undoable = false) {
    const edited = await api.revertEdit(revision);
    this.undoable = this.undoable.filter((edit) => edit.revision !== revision);
    await this.#finish(edited, undoable);
  }

  /** Revert the last edit of this page. @returns {Promise<Edit|null>} the reverted edit; null: there is none */
  async undo() {
    const last = this.undoable.pop();
    if (!last) return null;
    try {
      await this.revert(last.revision);
    } catch (error) {
      if (!(error instanceof Problem && error.status === 409)) this.undoable.push(last);
      throw error;
    }
    return last;
  }

  /** @param {Omit<EditResult, "relabelled"> & Partial<EditResult>} edited @param {boolean} [undoable] */
  async #finish({ edit, relabelled = null }, undoable = true) {
    await this.refreshClasses().catch(() => null);
    if (edit && undoable) this.undoable.push(edit);
    this.emit("edited", { edit, relabelled });
  }
}
