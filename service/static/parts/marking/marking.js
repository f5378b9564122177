/** Marking: drawing tools whose marks are a draft until they are applied as one edit. */

import { shownChanges } from "../../lib/labels.js";
import { isTextField } from "../../lib/dom.js";
import { Emitter } from "../../lib/emitter.js";
import { counted } from "../../lib/format.js";
import { CorrectionChoice } from "./corrections.js";
import { Draft } from "./draft.js";
import { Drafts, imageOf } from "./drafts.js";
import { FirstSteps } from "./first_steps.js";
import { holdSpaceToPan } from "./hold_to_pan.js";
import { MarkBar } from "./mark_bar.js";
import { pixelsOf, requestOf } from "./marks.js";
import { Overlay } from "./overlay.js";
import { Palette } from "./palette.js";
import { Pen } from "./pen.js";
import { PiecesBlock } from "./pieces_block.js";
import { Preview } from "./preview.js";
import { Selection, isPiece, segmentsInside } from "./selection.js";
import { ToolRail } from "./tool_rail.js";
import { TOOLS, largestBrush, usualBrush } from "./tools.js";
import { wordsOf } from "./words.js";

/** @typedef {import("../../lib/types.js").Answer} Answer */
/** @typedef {import("../../lib/pixels.js").Point} Point */
/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../labelled_image.js").LabelledImage} LabelledImage */
/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("./marks.js").MarkClass} MarkClass */
/** @typedef {import("./tools.js").ToolName} ToolName */

const NO_COLOR = "#ffffff"; // of a shape whose class is not chosen yet

/**
 * Emits "begin" when a mark or a selection is begun, "changed" when undo or redo may have changed, "tool" with the tool
 * that was chosen.
 * @extends {Emitter<{begin: null, changed: null, tool: ToolName}>}
 */
export class Marking extends Emitter {
  /** @param {Context} context @param {LabelledImage} image */
  constructor(context, image) {
    super();
    this.context = context;
    this.image = image;
    this.view = image.view;
    this.rail = new ToolRail();
    this.palette = new Palette();
    this.bar = new MarkBar();
    this.corrections = new CorrectionChoice(this);
    this.steps = new FirstSteps((name) => this.paint(name));
    this.selection = new Selection();
    this.preview = new Preview();
    this.pen = new Pen(this.view, this.#penActions());
    this.overlay = new Overlay(this.view, () => this.#shown());
    this.pieces = new PiecesBlock((pixels) => this.overlay.outlineOf(pixels));
    this.scope = /** @type {import("./marks.js").Scope} */ ("all");
    this.immediate = false;
    this.isBusy = false; // whether marks are being applied
    /** @type {Answer|null} */
    this.answer = null;
    this.drafts = new Drafts((draft) => draft === this.draft && this.#changed());
    this.draft = new Draft(); // of the image that is shown
    /** @type {((of: MarkClass) => Mark)|null} a shape that waits for its class */
    this.unnamed = null;
    this.#connect();
  }

  get tool() {
    return this.pen.tool;
  }

  /** Whether there is something of the draft to undo. */
  get canUndo() {
    return this.pen.isBusy || this.unnamed !== null || this.draft.past.length > 0;
  }

  get canRedo() {
    return this.draft.future.length > 0;
  }

  /** Mark another answer, of the same image or of another. @param {Answer} answer */
  show(answer) {
    const isNew = !this.answer || imageOf(answer) !== imageOf(this.answer);
    this.answer = answer;
    this.#forgetSegments();
    if (isNew) this.#changeImage(answer);
    this.draft.moveTo(answer);
    this.preview.clear();
    this.#changed();
  }

  /** Draw with a tool. @param {ToolName} tool */
  use(tool) {
    if (!this.context.session.mayEdit) return;
    if (tool !== "select") this.selection.clear();
    this.pen.use(tool);
    this.view.element.dataset.tool = tool;
    this.rail.showTool(tool);
    this.emit("tool", tool);
    this.#update();
  }

  /** Paint with a class that may be new. @param {string} name */
  paint(name) {
    this.use("brush");
    this.palette.choose(this.palette.named(name));
    this.view.element.focus({ preventScroll: true });
  }

  /** Add marks to the draft. @param {...Mark} marks */
  add(...marks) {
    this.draft.add(...marks);
    this.context.announce(`${counted(this.draft.marks.length, "mark")} in the draft`);
    if (this.immediate) this.apply();
  }

  /** @param {import("./marks.js").Scope} scope the images in which marks are to count */
  setScope(scope) {
    this.scope = scope;
    this.#changed();
  }

  /** Revert the last step of the draft. @returns {boolean} whether there was one */
  undo() {
    if (this.pen.removeCorner() || this.pen.cancelShape() || this.#dropUnnamed()) return true;
    return this.draft.undo();
  }

  /** @returns {boolean} whether there was a step of the draft to redo */
  redo() {
    return this.draft.redo();
  }

  /** Apply all marks as one edit. A refusal keeps them. */
  async apply() {
    const { draft, answer, context } = this;
    if (this.isBusy || !answer || !draft.marks.length) return;
    this.isBusy = true;
    const marks = draft.take();
    try {
      await context.edits.mark(answer.segmentation_id, requestOf(marks, answer, this.scope));
      draft.accept();
    } catch (error) {
      draft.refuse();
      this.#setImmediate(false);
      context.showProblem(error, "The marks were not applied");
    }
    this.isBusy = false;
    this.#changed();
    if (this.immediate) this.apply(); // what was drawn meanwhile
  }

  /** A key that works anywhere on the page. @param {KeyboardEvent} event @param {boolean} isExplaining whether a segment is open
   * @returns {boolean} whether it did something */
  key(event, isExplaining) {
    if (!this.context.session.mayEdit || !this.answer) return false;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return this.draft.marks.length > 0 && (this.apply(), true);
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "Escape") return this.#escape(isExplaining);
    if (isTextField(event.target) || isExplaining) return false;
    const tool = TOOLS.find((one) => one.key === event.key.toLowerCase());
    if (tool) this.use(tool.name);
    else if (/^[1-9]$/.test(event.key)) return this.#chooseNumber(Number(event.key));
    else return this.pen.key(event);
    return true;
  }

  /** A key of the focused image. @param {KeyboardEvent} event @returns {boolean} whether it did something */
  imageKey(event) {
    if (this.pen.imageKey(event)) return true;
    const active = this.answer?.segments[this.view.active];
    if (this.tool !== "select" || event.key !== " " || !active || !this.context.session.mayEdit) return false;
    this.emit("begin", null);
    this.selection.toggle(active);
    return true;
  }

  /** List the pieces of the segment whose pieces are offered. */
  openPieces() {
    if (!this.answer) return;
    this.use("select");
    this.pieces.open(this.image.photo, this.answer);
  }

  #connect() {
    const { rail, palette, bar, selection, preview, pieces, view, context } = this;
    view.drawer = this.pen;
    context.releases.on("served", () => palette.show(this.drafts.classes(context.classes.list, []))); // without names of another one
    rail.on("choose", (tool) => this.#byPointer(() => this.use(tool)));
    rail.on("size", (size) => this.pen.setSize(size));
    palette.on("choose", (chosen) => this.#byPointer(() => this.#chosen(chosen)));
    bar.on("apply", () => this.apply());
    bar.on("discard", () => this.draft.discard());
    bar.on("scope", (scope) => this.setScope(scope));
    bar.on("immediate", (immediate) => this.#setImmediate(immediate));
    bar.on("several", (several) => {
      this.pen.several = several;
      this.#update();
    });
    bar.on("clear", () => this.selection.clear());
    selection.on("changed", () => this.#update());
    preview.on("changed", () => this.#showPreview());
    pieces.on("pick", (picked) => selection.set(picked));
    pieces.on("close", () => this.#closePieces());
    context.classes.on("changed", () => this.#showClasses());
    addEventListener("beforeunload", (event) => this.drafts.marks.length > 0 && event.preventDefault());
    holdSpaceToPan(view, () => this.tool !== "select");
    this.rail.showTool(this.tool);
    this.#update();
  }

  /** @returns {import("./pen.js").Actions} */
  #penActions() {
    return {
      mayDraw: () => this.context.session.mayEdit && this.answer !== null,
      begin: () => this.#begin(),
      line: (points) => {
        const { size: width } = this.pen;
        this.#drawn((of) => ({ kind: "line", points, width, of }));
      },
      area: (ring) => this.#drawn((of) => ({ kind: "area", rings: [ring], of })),
      erase: (points) => this.answer && this.draft.erase(points, this.pen.size, this.answer),
      pick: (at) => this.#pick([this.view.drawing?.grid.at(...at) ?? -1], true),
      pickInside: (from, to) => this.view.drawing && this.#pick(segmentsInside(this.view.drawing.grid, from, to), false),
      redraw: () => {
        this.overlay.redraw();
        if (this.answer) this.rail.showSize(this.pen.size, largestBrush(this.answer));
        this.emit("changed", null);
      },
      announce: (text) => this.context.announce(text),
    };
  }

  #begin() {
    this.#dropUnnamed();
    this.emit("begin", null);
  }

  /** What the overlay draws. @returns {import("./overlay.js").Shown} */
  #shown() {
    const { pen, palette, unnamed, tool } = this;
    const color = tool === "select" ? "#3da5ff" : (palette.current?.color ?? NO_COLOR);
    const waiting = unnamed ? [unnamed({ class_id: null, name: "", color: NO_COLOR })] : [];
    return {
      marks: [...this.draft.all, ...waiting],
      shape: pen.shape,
      color,
      size: pen.size,
      erasing: tool === "eraser",
      selected: [...this.selection.targets].map((one) =>
        isPiece(one) ? this.overlay.outlineOf(one.pixels) : this.view.outlineOf(one),
      ),
      cursor: pen.cursor,
    };
  }

  /** A shape was drawn. Without a class it waits for one. @param {(of: MarkClass) => Mark} mark */
  #drawn(mark) {
    const { current } = this.palette;
    if (!this.answer || !pixelsOf(mark({ class_id: null, name: "", color: "" }), this.answer).bits.includes(1)) return;
    if (current) return this.add(mark(current));
    this.unnamed = mark;
    this.palette.ask(this.palette.classes.length ? "What is this? Choose its class." : "What is this? Type its name, then Enter.");
    this.overlay.redraw();
  }

  /** @param {number[]} indices of segments; -1 is none @param {boolean} toggle */
  #pick(indices, toggle) {
    const segments = indices.flatMap((index) => this.answer?.segments[index] ?? []);
    if (this.pieces.isOpen) this.#closePieces();
    if (toggle) for (const segment of segments) this.selection.toggle(segment);
    else this.selection.add(segments);
    this.context.announce(`${counted(this.selection.size, "segment")} selected`);
  }

  /** @param {number} number @returns {boolean} whether there is such a class */
  #chooseNumber(number) {
    const chosen = this.palette.numbered(number);
    if (chosen) this.palette.choose(chosen);
    return chosen !== null;
  }

  /** A class was chosen: for a shape that waits, for what is selected, or for the next shapes. @param {MarkClass} chosen */
  #chosen(chosen) {
    const { unnamed, selection } = this;
    const active = this.answer?.segments[this.view.active];
    this.unnamed = null;
    if (unnamed) this.add(unnamed(chosen));
    else if (selection.size) this.#labelSelection(chosen);
    else if (this.tool === "select" && active && document.activeElement === this.view.element)
      this.add({ kind: "segment", segment: active, of: chosen });
    else if (this.tool === "select" || this.tool === "eraser") this.use("brush");
    this.#update();
  }

  /** @param {MarkClass} chosen */
  #labelSelection(chosen) {
    this.add(...this.selection.marks(chosen));
    if (this.pieces.isOpen) this.pieces.labelled(chosen.name, chosen.color);
    else this.selection.clear();
  }

  #closePieces() {
    this.pieces.close();
    this.selection.clear();
  }

  /** @param {boolean} isExplaining @returns {boolean} whether there was something to leave */
  #escape(isExplaining) {
    if (this.pen.cancelShape() || this.#dropUnnamed()) return true;
    if (this.pieces.isOpen) return this.#closePieces(), true;
    if (this.selection.clear()) return true;
    if (isExplaining || this.tool === "select") return false;
    this.use("select");
    return true;
  }

  /** @returns {boolean} whether a shape waited for its class */
  #dropUnnamed() {
    const had = this.unnamed !== null;
    this.unnamed = null;
    if (had) this.overlay.redraw();
    return had;
  }

  /** Forget what is selected of another answer. A shape that is being drawn stays: it is of the image. */
  #forgetSegments() {
    if (this.pieces.isOpen) this.pieces.close();
    this.pieces.hideOffer();
    this.selection.clear();
  }

  /** @param {Answer} answer */
  #changeImage(answer) {
    this.unnamed = null;
    this.pen.cancelShape();
    if (this.draft.all.length)
      this.context.notify(`${counted(this.draft.all.length, "mark")} of the other image kept. They are applied there.`);
    this.draft = this.drafts.of(answer);
    this.pen.setSize(usualBrush(answer));
  }

  /** The draft has changed. */
  #changed() {
    const { draft, answer } = this;
    this.#showClasses();
    if (!answer || !draft.marks.length || this.isBusy || this.immediate) this.preview.clear();
    else this.preview.ask(answer.segmentation_id, requestOf(draft.marks, answer, this.scope));
    this.#update();
  }

  /** @param {boolean} immediate */
  #setImmediate(immediate) {
    this.immediate = immediate;
    this.#changed();
    if (immediate) this.apply();
  }

  #showClasses() {
    const { current } = this.palette;
    this.palette.show(this.drafts.classes(this.context.classes.list, current ? [current] : []));
  }

  #showPreview() {
    const { answer, preview } = this;
    const result = answer && preview.result;
    if (result) this.context.classes.addColors(result.relabelled.classes);
    if (result) this.image.showPreview(result.relabelled, shownChanges(answer, result.relabelled));
    else if (!preview.isPending) this.image.showPreview(null);
    this.#update();
  }

  /** Show the state of all parts. */
  #update() {
    this.bar.show({
      marks: this.draft.all,
      isBusy: this.isBusy,
      scope: this.scope,
      immediate: this.immediate,
      ...wordsOf(this),
      isPending: this.preview.isPending,
      several: this.pen.several,
      isSelect: this.tool === "select",
      selected: this.selection.size,
    });
    this.steps.show(this.palette.current !== null, this.draft.all);
    this.overlay.redraw();
    this.emit("changed", null);
  }

  /** After a click on a control, keys go to the image. @param {() => void} act */
  #byPointer(act) {
    const focused = document.activeElement;
    act();
    if (focused instanceof HTMLElement && (!focused.matches(":focus-visible") || isTextField(focused)))
      this.view.element.focus({ preventScroll: true });
  }
}
