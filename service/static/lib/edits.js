/** The edits made on this page. Each takes effect at once; they can be undone, and redone, one after the other. */

import * as api from "./api.js";
import { Emitter } from "./emitter.js";
import { Problem } from "./http.js";

/**
 * @typedef {import("./types.js").RelabelledAnswer} RelabelledAnswer
 * @typedef {import("./types.js").Edit} Edit
 * @typedef {{edit: Edit|null, relabelled: RelabelledAnswer|null}} EditResult edit: null where nothing had to change;
 *   relabelled: the corrected image with its new labels, null for other edits
 */

/** What the button that reverts an edit does for a person. @param {Edit} edit @param {string} undo name for other edits */
export const revertName = (edit, undo) => (edit.kind === "revert" && !isRestoring(edit) ? "Redo" : undo);

/** Whether a revert makes an edit effective again, by reverting its revert. @param {Edit} edit */
const isRestoring = (edit) => edit.summary.startsWith("restored ");

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
    /** @type {{edit: Edit, revert: number}[]} undone edits and the numbers of their reverts, the last undone one last */
    this.redoable = [];
  }

  /** The edit that `undo` would revert. */
  get last() {
    return this.undoable[this.undoable.length - 1] ?? null;
  }

  /** The edit that `redo` would make effective again. */
  get undone() {
    return this.redoable[this.redoable.length - 1]?.edit ?? null;
  }

  /**
   * Make exemplars of marked parts of an answer.
   * @param {string} segmentationId
   * @param {api.MarksBody} marks
   */
  async mark(segmentationId, marks) {
    const marked = await api.mark(segmentationId, marks);
    await this.#finish(marked);
    return marked;
  }

  /** Label segments of any answers. @param {api.SegmentMark[]} labels @param {api.Scope} [scope] */
  async labelSegments(labels, scope = "all") {
    const labelled = await api.labelSegments(labels, scope);
    await this.#finish(labelled);
    return labelled;
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

  /** Give exemplars other classes. @param {api.NewLabel[]} labels */
  async relabelExemplars(labels) {
    await this.#finish(await api.relabelExemplars(labels));
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
    const { edit } = await this.#revertOr(last.revision, () => this.undoable.push(last));
    this.redoable.push({ edit: last, revert: edit.revision });
    await this.#tell({ edit });
    return last;
  }

  /** Make the edit that was undone last effective again. @returns {Promise<Edit|null>} that edit; null: there is none */
  async redo() {
    const last = this.redoable.pop();
    if (!last) return null;
    const { edit } = await this.#revertOr(last.revert, () => this.redoable.push(last));
    this.undoable.push(last.edit);
    await this.#tell({ edit });
    return last.edit;
  }

  /**
   * Revert an edit of the history. One that cannot be reverted any more, because others changed the log, is dropped.
   * @param {number} revision
   * @param {() => void} putBack called after any other failure
   */
  async #revertOr(revision, putBack) {
    try {
      return await api.revertEdit(revision);
    } catch (error) {
      if (!(error instanceof Problem && error.status === 409)) putBack();
      throw error;
    }
  }

  /**
   * Note a new edit in the history. Edits that were undone before it cannot be redone.
   * @param {Omit<EditResult, "relabelled"> & Partial<EditResult>} edited
   * @param {boolean} [undoable]
   */
  async #finish(edited, undoable = true) {
    if (edited.edit && undoable) this.undoable.push(edited.edit);
    if (edited.edit) this.redoable = [];
    await this.#tell(edited);
  }

  /** @param {Omit<EditResult, "relabelled"> & Partial<EditResult>} edited */
  async #tell({ edit, relabelled = null }) {
    await this.refreshClasses().catch(() => null);
    this.emit("edited", { edit, relabelled });
  }
}
