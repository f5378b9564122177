/** The draft of an image: marks that are not applied yet, with undo and redo. */

import { Emitter } from "../../lib/emitter.js";
import { overlap, pixelsOfLine, without } from "../../lib/pixels.js";
import { movedTo, pixelsOf } from "./marks.js";

/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("../../lib/pixels.js").Point} Point */
/** @typedef {import("../../lib/pixels.js").Size} Size */

/**
 * Emits "changed" when its marks have changed.
 * @extends {Emitter<{changed: null}>}
 */
export class Draft extends Emitter {
  /** @type {Mark[][]} the earlier states of `sent` */
  #before = [];

  constructor() {
    super();
    /** @type {Mark[]} later marks cover earlier ones; never changed in place */
    this.marks = [];
    /** @type {Mark[][]} earlier states, the newest last */
    this.past = [];
    /** @type {Mark[][]} states that were undone, the newest last */
    this.future = [];
    /** @type {Mark[]} that are being applied */
    this.sent = [];
  }

  /** Add marks. A segment has one class: the one that it was given last. @param {...Mark} marks */
  add(...marks) {
    const relabelled = new Set(marks.flatMap((one) => (one.kind === "segment" ? [one.segment.segment_id] : [])));
    const kept = this.marks.filter((one) => one.kind !== "segment" || !relabelled.has(one.segment.segment_id));
    this.#change([...kept, ...marks]);
  }

  /** Remove the pixels of marks under a line. @param {Point[]} points @param {number} width @param {Size} size */
  erase(points, width, size) {
    const erased = pixelsOfLine(points, width, size);
    let changed = false;
    const left = this.marks.flatMap((mark) => {
      const pixels = pixelsOf(mark, size);
      const rest = overlap(pixels, erased) ? without(pixels, erased) : null;
      if (!rest?.changed) return [mark];
      changed = true;
      return rest.empty ? [] : [/** @type {Mark} */ ({ kind: "mask", pixels: rest.left, of: mark.of })];
    });
    if (changed) this.#change(left);
  }

  /** Remove all marks; this can be undone. */
  discard() {
    if (this.marks.length) this.#change([]);
  }

  /** Take all marks to send them. They stay in `sent` until they are accepted or refused. @returns {Mark[]} */
  take() {
    this.sent = this.marks;
    this.#before = this.past;
    this.marks = [];
    this.past = [];
    this.future = [];
    this.emit("changed", null);
    return this.sent;
  }

  /** The marks that were sent have been applied. */
  accept() {
    this.sent = [];
    this.emit("changed", null);
  }

  /** The marks that were sent have been refused: they are a draft again. */
  refuse() {
    const { sent } = this;
    this.past = [...this.#before, ...(this.marks.length ? [sent] : [])];
    this.marks = [...sent, ...this.marks];
    this.sent = [];
    this.emit("changed", null);
  }

  /** The marks that are not applied yet, with those that are being applied. */
  get all() {
    return [...this.sent, ...this.marks];
  }

  /** @returns {boolean} whether there was something to undo */
  undo() {
    return this.#step(this.past, this.future);
  }

  /** @returns {boolean} whether there was something to redo */
  redo() {
    return this.#step(this.future, this.past);
  }

  /** Keep the marks for another answer of the same image. @param {import("../../lib/types.js").Answer} answer */
  moveTo(answer) {
    this.marks = movedTo(this.marks, answer);
    this.sent = movedTo(this.sent, answer);
    this.past = this.past.map((marks) => movedTo(marks, answer));
    this.future = this.future.map((marks) => movedTo(marks, answer));
  }

  /** @param {Mark[]} marks */
  #change(marks) {
    this.past.push(this.marks);
    this.future = [];
    this.marks = marks;
    this.emit("changed", null);
  }

  /** @param {Mark[][]} from @param {Mark[][]} to */
  #step(from, to) {
    const marks = from.pop();
    if (!marks) return false;
    to.push(this.marks);
    this.marks = marks;
    this.emit("changed", null);
    return true;
  }
}
