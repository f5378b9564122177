/** The pieces of a segment that do not touch, each of which can get a class of its own. */

import { context2d, button, h } from "../../lib/dom.js";
import { iconButton } from "../../lib/elements.js";
import { Emitter } from "../../lib/emitter.js";
import { counted, percent } from "../../lib/format.js";
import { piecesOf } from "../../lib/pieces.js";

/** @typedef {import("../../lib/photo.js").Photo} Photo */
/** @typedef {import("../../lib/pieces.js").Piece} Piece */
/** @typedef {import("../../lib/types.js").Answer} Answer */
/** @typedef {import("../../lib/types.js").Segment} Segment */

const SPECK = 0.01; // share of the segment below which a piece is not worth a class of its own
const MOST = 24; // pieces that are listed
const CROP = 96; // pixels of a thumbnail
const MARGIN = 0.25; // of a piece's size around it

/**
 * Emits "pick" with the pieces that are picked, and "close".
 * @extends {Emitter<{pick: Piece[], close: null}>}
 */
export class PiecesBlock extends Emitter {
  /** @param {(pixels: import("../../lib/pixels.js").Pixels) => Path2D} outlineOf */
  constructor(outlineOf) {
    super();
    this.outlineOf = outlineOf;
    this.offer = h("section", { class: "pieces-offer editing", "aria-label": "Pieces", hidden: true });
    this.list = h("section", { class: "block pieces editing", "aria-label": "Pieces of the segment", hidden: true });
    /** @type {Piece[]} */
    this.pieces = [];
    /** @type {HTMLButtonElement[]} */
    this.buttons = [];
  }

  /** Offer the pieces of a segment, where it has several. @param {Segment} segment @param {Answer} answer @param {() => void} start */
  suggest({ mask, area }, answer, start) {
    const counts = mask && "counts" in mask ? mask.counts : "";
    const found = piecesOf(counts, answer);
    this.pieces = found.filter((one) => one.area >= Math.max(SPECK * area, 2)).slice(0, MOST);
    this.offer.hidden = this.pieces.length < 2;
    this.offer.replaceChildren(
      h("p", {}, `This segment has ${counted(this.pieces.length, "separate piece")}.`),
      button({ class: "small", on: { click: start } }, "Label each piece"),
    );
  }

  hideOffer() {
    this.offer.hidden = true;
  }

  /** List the pieces, the first of them picked. @param {Photo|null} photo @param {Answer} answer */
  open(photo, answer) {
    const pixels = answer.width * answer.height;
    this.buttons = this.pieces.map((piece, n) =>
      h(
        "button",
        {
          type: "button",
          class: "piece",
          "aria-label": `Piece ${n + 1} of ${this.pieces.length}, ${percent(piece.area / pixels)} of the image`,
          "aria-pressed": "false",
          on: { click: (event) => this.#pick(n, event.shiftKey) },
        },
        this.#crop(piece, photo, answer),
        h("span", { class: "piece-mark" }, `${n + 1}`),
      ),
    );
    this.list.replaceChildren(
      h(
        "div",
        { class: "block-head" },
        h("h2", {}, counted(this.pieces.length, "piece")),
        iconButton("close", "Close the list of pieces", { on: { click: () => this.emit("close", null) } }),
      ),
      h("p", {}, "Choose a class for the piece that is outlined; the next piece follows. Shift-click picks several."),
      h("div", { class: "piece-list" }, ...this.buttons),
    );
    this.list.hidden = false;
    this.#pick(0, false);
  }

  get isOpen() {
    return !this.list.hidden;
  }

  close() {
    this.list.hidden = true;
    this.list.replaceChildren();
    this.buttons = [];
  }

  /** The picked pieces have got a class: go on to the next piece. @param {string} name @param {string} color */
  labelled(name, color) {
    const picked = this.buttons.flatMap((one, n) => (one.ariaPressed === "true" ? [n] : []));
    for (const n of picked) {
      const note = this.buttons[n].querySelector(".piece-mark");
      note?.replaceChildren(h("span", { class: "swatch", style: { "--c": color } }), name);
      this.buttons[n].classList.add("labelled");
    }
    const next = this.buttons.findIndex((one) => !one.classList.contains("labelled"));
    if (next >= 0) this.#pick(next, false);
    else this.emit("close", null);
  }

  /** @param {number} n @param {boolean} more in addition to those that are picked */
  #pick(n, more) {
    this.buttons.forEach((one, other) => {
      const was = one.ariaPressed === "true";
      one.setAttribute("aria-pressed", String(more ? (other === n ? !was : was) : other === n));
    });
    this.emit(
      "pick",
      this.pieces.filter((_, other) => this.buttons[other].ariaPressed === "true"),
    );
    if (n) this.buttons[n].scrollIntoView({ block: "nearest" });
    else this.list.scrollIntoView({ block: "start" });
  }

  /** @param {Piece} piece @param {Photo|null} photo @param {Answer} answer */
  #crop({ pixels }, photo, answer) {
    const margin = MARGIN * Math.max(pixels.width, pixels.height) + 2;
    const scale = CROP / (Math.max(pixels.width, pixels.height) + 2 * margin);
    const canvas = h("canvas", { width: CROP, height: CROP, "aria-hidden": "true" });
    const context = context2d(canvas);
    const x = CROP / 2 - (pixels.x + pixels.width / 2) * scale;
    const y = CROP / 2 - (pixels.y + pixels.height / 2) * scale;
    photo?.draw(context, scale, x, y, answer.width, answer.height);
    context.setTransform(scale, 0, 0, scale, x, y);
    context.strokeStyle = "#fff";
    context.lineWidth = 2 / scale;
    context.stroke(this.outlineOf(pixels));
    return canvas;
  }
}
