/** The edits made on this page: each is applied at once, and the last can be taken back. */

import * as api from "./api.js";

/** @typedef {import("./types.js").Edit} Edit */
/** @typedef {import("./types.js").Edited} Edited */
/** @typedef {import("./types.js").Exemplar} Exemplar */

/**
 * Announces "edited" with `{edit, relabelled}` in `detail`; relabelled is null unless the service relabelled a picture with it.
 */
export class Edits extends EventTarget {
  /** @param {() => Promise<void>} refresh learns what classes there are now, before anybody shows the edit */
  constructor(refresh) {
    super();
    this.refresh = refresh;
    /** @type {Edit[]} newest last */
    this.done = [];
  }

  get last() {
    return this.done[this.done.length - 1] ?? null;
  }

  /** @param {string} segmentId @param {import("./chooser.js").Choice} choice */
  async label(segmentId, choice) {
    return this.#made(await api.post(`/segments/${encodeURIComponent(segmentId)}/label`, choice));
  }

  /** @param {string[]} exemplarIds */
  async remove(exemplarIds) {
    const [first] = exemplarIds;
    return this.#made(
      await (exemplarIds.length === 1
        ? api.remove(`/exemplars/${encodeURIComponent(first)}`)
        : api.post("/exemplars/remove", { exemplar_ids: exemplarIds })),
    );
  }

  /**
   * A new class, or, with a class_id, a change of one.
   * @param {{class_id?: number, name?: string, color?: string}} change
   */
  async class(change) {
    return this.#made(await api.post("/classes", change));
  }

  /**
   * Take any edit back.
   * @param {number} revision
   * @param {boolean} [undoable] whether that is an edit to be undone itself
   */
  async revert(revision, undoable = false) {
    const made = await api.post(`/edits/${revision}/revert`, {});
    this.done = this.done.filter((edit) => edit.revision !== revision);
    return this.#made(made, undoable);
  }

  /** Take the last one back. @returns {Promise<Edit|null>} what was taken back */
  async undo() {
    const last = this.done.pop();
    if (!last) return null;
    try {
      await this.revert(last.revision);
    } catch (error) {
      if (/** @type {api.Problem} */ (error).status !== 409) this.done.push(last);
      throw error;
    }
    return last;
  }

  /** @param {Edited} made @param {boolean} [undoable] */
  async #made(made, undoable = true) {
    await this.refresh().catch(() => null);
    if (made.edit && undoable) this.done.push(made.edit);
    this.dispatchEvent(new CustomEvent("edited", { detail: { edit: made.edit, relabelled: made.relabelled ?? null } }));
    return made;
  }
}
