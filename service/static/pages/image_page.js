/** The image page: the labels of one image, and the explanation of the open segment. */

import { h } from "../lib/dom.js";
import { skeleton } from "../lib/elements.js";
import { counted } from "../lib/format.js";
import { indexOfSame } from "../lib/run_lengths.js";
import { Adaptation } from "../parts/adaptation.js";
import { CertaintyKey } from "../parts/certainty_key.js";
import { ExplanationPanel } from "../parts/explanation_panel.js";
import { Marking } from "../parts/marking/marking.js";
import { nextImageButton } from "../parts/next_image.js";
import { LabelledImage } from "../parts/labelled_image.js";
import { Legend } from "../parts/legend.js";
import { RecentImages } from "../parts/recent_images.js";
import { SegmentList } from "../parts/segment_list.js";
import { sheetHandle } from "../parts/sheet.js";
import { imageKey } from "../parts/shortcuts.js";
import { teachMe } from "../parts/teach_me.js";
import { Toolbar } from "../parts/toolbar.js";
import { ImageEdits } from "./image_edits.js";
import { ImageLoading } from "./image_loading.js";

/** @typedef {import("../lib/types.js").Answer} Answer */
/** @typedef {import("../lib/photo.js").Photo} Photo */
/** @typedef {import("../lib/types.js").LabelChange} LabelChange */
/** @typedef {import("../parts/context.js").Context} Context */

const PHONE = matchMedia("(max-width: 760px)"); // as in phone.css

/** Segments are named by their index in the answer; -1 is none. */
export class ImagePage {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.title = "Image";
    this.image = new LabelledImage({
      colorOf: (name) => context.classes.colorOf(name),
      update: () => this.edits.update(),
    });
    this.view = this.image.view;
    this.marking = new Marking(context, this.image);
    this.legend = new Legend();
    this.certaintyKey = new CertaintyKey();
    this.list = new SegmentList();
    this.loading = new ImageLoading(this);
    this.edits = new ImageEdits(this);
    this.explanation = new ExplanationPanel(context, this.marking.corrections);
    this.recent = new RecentImages((id) => context.navigate(`#/s/${id}`));
    this.toolbar = new Toolbar(this.view, {
      choose: () => this.loading.input.open(),
      undo: () => this.undo(),
      redo: () => this.redo(),
      setDetail: (segments) => this.loading.setDetail(segments),
      answer: () => this.answer,
      showCertainty: (shown) => {
        this.certaintyKey.element.hidden = !shown;
        this.legend.element.hidden = shown;
      },
      showProblem: (error) => context.showProblem(error),
    });
    this.teaching = h("section", { class: "block teaching", "aria-label": "Teach me", hidden: true });
    this.nextImage = nextImageButton(context, () => this.answer?.segmentation_id ?? null);
    this.labels = h(
      "div",
      { class: "labels" },
      this.nextImage,
      this.teaching,
      new Adaptation(context).element,
      this.certaintyKey.element,
      this.legend.element,
      this.list.element,
    );
    const { pieces, rail, palette, bar } = this.marking;
    this.scroll = h(
      "div",
      { class: "panel-scroll" },
      this.edits.element,
      pieces.offer,
      pieces.list,
      this.labels,
      this.explanation.element,
    );
    this.panel = h("aside", { class: "panel", "aria-label": "Labels and explanation", hidden: true });
    this.work = h(
      "div",
      { class: "work", hidden: true },
      this.toolbar.element,
      palette.element,
      rail.element,
      this.image.element,
      bar.element,
    );
    this.element = this.#layout();
    /** @type {Answer|null} */
    this.answer = null;
    this.selected = -1;
    /** @type {Element|null} what had the focus when the panel was opened */
    this.opener = null;
    this.#connect();
  }

  /** @param {string[]} path id of the segmentation and index of the segment */
  async show([id, index]) {
    this.recent.refresh();
    if (id && id !== this.answer?.segmentation_id) await this.loading.load(id);
    else if (!id && this.answer) this.setAddress(false);
    if (this.loading.replaced) await this.loading.segmentAgain();
    if (this.edits.outdated && this.answer) await this.edits.update();
    if (id && index !== undefined && this.answer?.segments[Number(index)]) this.open(Number(index), false);
    else if (id && index === undefined && this.explanation.isOpen) this.close(false);
  }

  /** Explain a segment. @param {number} index @param {boolean} [focus] whether the panel gets the focus */
  open(index, focus = true) {
    const { answer } = this;
    if (!answer?.segments[index]) return;
    if (this.marking.tool !== "select") this.marking.use("select");
    if (!this.view.changed.has(index)) this.edits.clear();
    this.#open(answer, index, { focus, keep: index === this.selected });
  }

  /** Close the explanation. @param {boolean} [setAddress] */
  close(setAddress = true) {
    const index = this.selected;
    this.selected = -1;
    this.image.select(-1);
    this.explanation.hide();
    this.marking.pieces.hideOffer();
    this.labels.hidden = false;
    this.panel.classList.remove("open");
    this.panel.style.removeProperty("--sheet");
    this.edits.clear();
    this.#leaveRoomForSheet();
    this.list.activate(index, false);
    if (setAddress) this.setAddress(false);
    const { opener } = this;
    const isUsable = opener instanceof HTMLElement && opener.isConnected && opener !== document.body;
    (isUsable ? opener : this.view.element).focus({ preventScroll: true });
  }

  /** Explain another segment. @param {number} by rows of the list */
  step(by) {
    const index = this.list.neighbour(this.selected, by);
    if (index >= 0) this.open(index);
  }

  /** Undo the last mark of the draft, or else the last edit. */
  undo() {
    if (!this.marking.undo()) this.context.undo();
  }

  /** Redo the last mark that was undone, or else the last edit. */
  redo() {
    if (!this.marking.redo()) this.context.redo();
  }

  /** Show what can be undone and redone. */
  showUndo() {
    const { edits } = this.context;
    this.toolbar.undo.disabled = !this.marking.canUndo && !edits.last;
    this.toolbar.redo.disabled = !this.marking.canRedo && !edits.undone;
  }

  /** @param {string} text */
  announce(text) {
    this.context.announce(text);
  }

  /** Open a segment of this image or of another. @param {string} segmentId */
  openById(segmentId) {
    const index = this.answer?.segments.findIndex((one) => one.segment_id === segmentId) ?? -1;
    if (index >= 0) this.open(index);
    else this.context.navigate(`#/s/${segmentId.replace(/-(\d+)$/, "/$1")}`);
  }

  /** @param {Answer} answer @param {Photo|null} photo null where the image cannot be shown */
  showAnswer(answer, photo) {
    this.loading.finish();
    if (this.explanation.isOpen) this.close(false);
    this.edits.begin(answer);
    this.answer = answer;
    this.list.active = -1;
    this.scroll.scrollTop = 0;
    this.image.show(answer, photo);
    this.element.dataset.image = answer.image_id ?? ""; // for scripts that wait for an image
    this.marking.show(answer);
    this.#showLabels(answer);
    const unknown = answer.segments.filter((one) => !one.known).length;
    this.announce(`${counted(answer.segments.length, "segment")}, ${unknown} of them unknown.`);
  }

  /**
   * Show new labels of the same image. An open segment stays open if the new answer has it.
   * @param {Answer} answer
   * @param {LabelChange[]} changed the changes to highlight
   */
  relabel(answer, changed) {
    const { answer: before } = this;
    const open = this.selected >= 0 && before ? indexOfSame(before.segments[this.selected], this.selected, answer) : -1;
    if (this.selected >= 0 && open < 0) this.close(false);
    this.selected = open;
    this.answer = answer;
    this.image.relabel(answer, changed);
    this.marking.show(answer);
    this.#showLabels(answer);
    this.setAddress(false);
    if (open >= 0) this.#open(answer, open, { focus: true, keep: true });
  }

  /** Put what is shown into the address. @param {boolean} push whether "back" returns from it */
  setAddress(push) {
    if (!this.answer) return;
    this.context.setAddress(
      `#/s/${this.answer.segmentation_id}${this.selected >= 0 ? `/${this.selected}` : ""}`,
      push,
    );
  }

  #layout() {
    this.panel.append(
      sheetHandle(this.panel, { close: () => this.close(), resized: () => this.#leaveRoomForSheet() }),
      this.explanation.head,
      this.scroll,
      skeleton(),
    );
    const centre = h(
      "div",
      { class: "centre" },
      this.loading.input.welcome,
      this.work,
      this.loading.uploads.progress.element,
      this.recent.element,
    );
    return h(
      "section",
      { class: "page image", "aria-label": "Image", hidden: true },
      h("h1", { class: "unseen" }, "Image"),
      centre,
      this.panel,
      this.loading.input.input,
      this.loading.input.dropHint,
    );
  }

  #connect() {
    const { view, list, legend, explanation } = this;
    view.on("hover", (index) => this.image.hoverAt(index));
    view.on("open", (index) => {
      if (index >= 0) this.open(index);
      else if (explanation.isOpen) this.close();
    });
    view.element.addEventListener("keydown", (event) => imageKey(this, event));
    list.on("active", (index) => {
      view.active = index;
      view.redraw(false);
    });
    list.on("open", (index) => this.open(index));
    legend.on("highlight", (classId) => {
      view.look.only = classId;
      view.redraw();
    });
    legend.on("filter", (classId) => list.filter(classId));
    explanation.on("zoom", () => view.toggleZoom(explanation.segment?.bbox ?? [0, 0, 1, 1]));
    explanation.on("close", () => this.close());
    explanation.on("step", (by) => this.step(by));
    explanation.on("open", (id) => this.openById(id));
    this.marking.on("begin", () => this.edits.clear());
    this.marking.on("changed", () => this.showUndo());
    this.marking.on("tool", (tool) => this.#toolChosen(tool));
    this.loading.connect();
    this.edits.connect();
    PHONE.addEventListener("change", () => this.#leaveRoomForSheet());
  }

  /** Drawing needs the room and the keys that an explanation takes. @param {string} tool */
  #toolChosen(tool) {
    this.element.classList.toggle("drawing", tool !== "select");
    if (tool !== "select" && this.explanation.isOpen) this.close();
  }

  /** List the pieces of the open segment. */
  #openPieces() {
    this.close();
    this.marking.openPieces();
  }

  /** @param {Answer} answer @param {number} index @param {{focus: boolean, keep: boolean}} options of the panel */
  #open(answer, index, { focus, keep }) {
    const first = !this.explanation.isOpen;
    if (first) this.opener = document.activeElement;
    this.selected = index;
    this.image.select(index);
    this.labels.hidden = true;
    this.panel.classList.add("open");
    this.scroll.scrollTop = 0;
    this.#leaveRoomForSheet();
    if (!this.view.fitted) this.view.panTo(answer.segments[index].bbox);
    this.setAddress(first);
    this.marking.pieces.suggest(answer.segments[index], answer, () => this.#openPieces());
    const row = this.list.order.indexOf(index);
    this.explanation.show(answer.segments[index], {
      pixels: answer.width * answer.height,
      position: row < 0 ? "" : `${row + 1} of ${this.list.order.length}`,
      focus,
      keep,
    });
  }

  /** @param {Answer} answer */
  #showLabels(answer) {
    this.context.classes.addColors(answer.classes);
    this.panel.hidden = false;
    const untaught = answer.segments.every((one) => one.class_id === null);
    this.teaching.hidden = !untaught;
    this.legend.element.hidden = untaught || this.view.look.certainty;
    this.certaintyKey.show(answer);
    this.teaching.replaceChildren(
      ...teachMe(answer.classes.length > 0, this.#teachingAdvice),
      this.marking.steps.element,
    );
    this.legend.show(answer);
    this.list.show(answer);
    this.recent.markCurrent(answer.segmentation_id);
  }

  /** How a class is taught on this page. */
  get #teachingAdvice() {
    return this.context.session.mayEdit
      ? "Name what you see and paint over it:"
      : "Ask a curator to mark segments with their classes: your key does not allow edits.";
  }

  /** On a phone the open panel covers the lower part of the image. */
  #leaveRoomForSheet() {
    const open = PHONE.matches && this.panel.classList.contains("open");
    const bottom = this.view.element.getBoundingClientRect().bottom;
    this.view.setCovered(open ? Math.max(bottom - (innerHeight - this.panel.offsetHeight), 0) : 0);
  }
}
