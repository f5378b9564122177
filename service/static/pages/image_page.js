/** The image page: the labels of one image, and the explanation of the open segment. */

import * as api from "../lib/api.js";
import { h } from "../lib/dom.js";
import { skeleton } from "../lib/elements.js";
import { counted } from "../lib/format.js";
import { isVisible } from "../lib/labels.js";
import { Photo } from "../lib/photo.js";
import { editResult } from "../parts/edit_result.js";
import { ExplanationPanel } from "../parts/explanation_panel.js";
import { ImageInput } from "../parts/image_input.js";
import { LabelledImage } from "../parts/labelled_image.js";
import { Legend } from "../parts/legend.js";
import { RecentImages } from "../parts/recent_images.js";
import { SegmentList } from "../parts/segment_list.js";
import { sheetHandle } from "../parts/sheet.js";
import { imageKey } from "../parts/shortcuts.js";
import { isUntaught, teachMe } from "../parts/teach_me.js";
import { Toolbar } from "../parts/toolbar.js";
import { UploadQueue } from "../parts/upload_queue.js";

/** @typedef {import("../lib/types.js").Answer} Answer */
/** @typedef {import("../lib/types.js").Edit} Edit */
/** @typedef {import("../lib/types.js").LabelChange} LabelChange */
/** @typedef {import("../lib/types.js").RelabelledAnswer} RelabelledAnswer */
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
      update: () => this.#updateLabels(null),
    });
    this.view = this.image.view;
    this.legend = new Legend();
    this.list = new SegmentList();
    this.input = new ImageInput();
    this.uploads = new UploadQueue({
      preview: (photo) => this.#preview(photo),
      answered: (answer, photo) => this.#answered(answer, photo),
      refused: (error, name) => this.#refused(error, name),
    });
    this.explanation = new ExplanationPanel(context);
    this.recent = new RecentImages((id) => context.navigate(`#/s/${id}`));
    this.toolbar = new Toolbar(this.view, {
      choose: () => this.input.open(),
      undo: () => context.undo(),
      setDetail: (segments) => this.#setDetail(segments),
      answer: () => this.answer,
      showProblem: (error) => context.showProblem(error),
    });
    this.result = h("div"); // of the last edit
    this.teaching = h("section", { class: "block teaching", "aria-label": "Teach me", hidden: true });
    this.labels = h("div", { class: "labels" }, this.teaching, this.legend.element, this.list.element);
    this.scroll = h("div", { class: "panel-scroll" }, this.result, this.labels, this.explanation.element);
    this.panel = h("aside", { class: "panel", "aria-label": "Labels and explanation", hidden: true });
    this.work = h("div", { class: "work", hidden: true }, this.toolbar.element, this.image.element);
    this.element = this.#layout();
    /** @type {Answer|null} */
    this.answer = null;
    this.selected = -1;
    /** @type {Element|null} what had the focus when the panel was opened */
    this.opener = null;
    /** @type {Set<string>} answers with the segments that are shown, before and after edits */
    this.sameSegments = new Set();
    this.outdated = false; // whether edits were made while another page was shown
    this.run = 0;
    this.#connect();
  }

  /** @param {string[]} path id of the segmentation and index of the segment */
  async show([id, index]) {
    this.recent.refresh();
    if (id && id !== this.answer?.segmentation_id) await this.#load(id);
    else if (!id && this.answer) this.#setAddress(false);
    if (this.outdated && this.answer) await this.#updateLabels(null);
    if (id && index !== undefined && this.answer?.segments[Number(index)]) this.open(Number(index), false);
    else if (id && index === undefined && this.explanation.isOpen) this.close(false);
  }

  /** Explain a segment. @param {number} index @param {boolean} [focus] whether the panel gets the focus */
  open(index, focus = true) {
    const { answer } = this;
    if (!answer?.segments[index]) return;
    if (!this.view.changed.has(index)) this.#clearResult();
    this.#open(answer, index, { focus, keep: index === this.selected });
  }

  /** Close the explanation. @param {boolean} [setAddress] */
  close(setAddress = true) {
    const index = this.selected;
    this.selected = -1;
    this.image.select(-1);
    this.explanation.hide();
    this.labels.hidden = false;
    this.panel.classList.remove("open");
    this.panel.style.removeProperty("--sheet");
    this.#clearResult();
    this.#leaveRoomForSheet();
    this.list.activate(index, false);
    if (setAddress) this.#setAddress(false);
    const { opener } = this;
    const isUsable = opener instanceof HTMLElement && opener.isConnected && opener !== document.body;
    (isUsable ? opener : this.view.element).focus({ preventScroll: true });
  }

  /** Explain another segment. @param {number} by rows of the list */
  step(by) {
    const index = this.list.neighbour(this.selected, by);
    if (index >= 0) this.open(index);
  }

  /** @param {string} text */
  announce(text) {
    this.context.announce(text);
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
      this.input.welcome,
      this.work,
      this.uploads.progress.element,
      this.recent.element,
    );
    return h(
      "section",
      { class: "page image", "aria-label": "Image", hidden: true },
      h("h1", { class: "unseen" }, "Image"),
      centre,
      this.panel,
      this.input.input,
      this.input.dropHint,
    );
  }

  #connect() {
    const { view, list, legend, explanation } = this;
    view.on("hover", (index) => this.image.hover(this.answer?.segments[index]));
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
    explanation.on("open", (id) => this.#openById(id));
    this.input.on("files", (files) => this.#send(files));
    const { classes } = this.context;
    classes.on("changed", () => this.input.introduce(isUntaught(classes.list), classes.list.length > 0));
    this.context.edits.on("edited", ({ edit, relabelled }) => this.#edited(edit, relabelled));
    PHONE.addEventListener("change", () => this.#leaveRoomForSheet());
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
    this.#setAddress(first);
    const row = this.list.order.indexOf(index);
    this.explanation.show(answer.segments[index], {
      pixels: answer.width * answer.height,
      position: row < 0 ? "" : `${row + 1} of ${this.list.order.length}`,
      focus,
      keep,
    });
  }

  /** Open a segment of this image or of another. @param {string} segmentId */
  #openById(segmentId) {
    const index = this.answer?.segments.findIndex((one) => one.segment_id === segmentId) ?? -1;
    if (index >= 0) this.open(index);
    else this.context.navigate(`#/s/${segmentId.replace(/-(\d+)$/, "/$1")}`);
  }

  /** @param {File[]} files */
  async #send(files) {
    if (this.element.hidden) this.context.navigate("#/");
    await this.uploads.send(files);
    this.recent.refresh();
  }

  /** @param {number|null} segments that pixel sorting starts with */
  async #setDetail(segments) {
    this.uploads.segments = segments;
    if (!this.answer) return;
    if (await this.uploads.sendAgain(this.answer.segmentation_id, segments)) this.recent.refresh();
    else this.context.notify("The image is not stored any more. Choose it again to segment it with this detail.");
  }

  /** @param {Photo} photo of an image that is being sent */
  #preview(photo) {
    this.#showWaiting();
    this.image.preview(photo);
  }

  /** @param {Answer} answer @param {Photo|null} photo */
  #answered(answer, photo) {
    this.#show(answer, photo);
    this.context.setAddress(`#/s/${answer.segmentation_id}`, true);
  }

  /** @param {unknown} error @param {string} name of the file */
  #refused(error, name) {
    if (this.answer) {
      if (this.element.classList.contains("waiting")) this.#show(this.answer, this.image.photo);
      this.#setAddress(false);
      this.context.showProblem(error, name);
    } else {
      this.#setWorking(false);
      this.element.classList.remove("waiting");
      this.panel.hidden = true;
      this.input.showProblem(error, name);
    }
  }

  /** Load a stored segmentation. @param {string} id */
  async #load(id) {
    const run = ++this.run;
    this.input.clearProblem();
    if (!this.answer) this.#showWaiting();
    try {
      const [answer, photo, edits] = await Promise.all([
        api.getSegmentation(id),
        Photo.load(api.imageUrl(id)),
        api.listEdits(1),
      ]);
      if (run !== this.run) return;
      this.uploads.file = null;
      this.#show(answer, photo);
      this.image.outdated.show(answer, edits[0]?.revision ?? 0);
    } catch (error) {
      if (run === this.run) this.#refused(error, "");
    }
  }

  /** @param {Answer} answer @param {Photo|null} photo null where the image cannot be shown */
  #show(answer, photo) {
    this.#setWorking(true);
    this.element.classList.remove("waiting");
    if (this.explanation.isOpen) this.close(false);
    this.result.replaceChildren();
    this.answer = answer;
    this.sameSegments = new Set([answer.segmentation_id]);
    this.outdated = false;
    this.list.active = -1;
    this.scroll.scrollTop = 0;
    this.image.show(answer, photo);
    this.#showLabels(answer);
    const unknown = answer.segments.filter((one) => !one.known).length;
    this.announce(`${counted(answer.segments.length, "segment")}, ${unknown} of them unknown.`);
  }

  /** @param {Answer} answer */
  #showLabels(answer) {
    this.context.classes.addColors(answer.classes);
    this.panel.hidden = false;
    const untaught = answer.segments.every((one) => one.class_id === null);
    this.teaching.hidden = !untaught;
    this.legend.element.hidden = untaught;
    this.teaching.replaceChildren(...teachMe(answer.classes.length > 0, this.#teachingAdvice));
    this.legend.show(answer);
    this.list.show(answer);
    this.recent.markCurrent(answer.segmentation_id);
  }

  /** How a class is taught on this page. */
  get #teachingAdvice() {
    return this.context.session.mayEdit
      ? "Mark a segment with its class to teach it: click the segment in the image, then type the name of its class."
      : "Ask a curator to mark segments with their classes: your key does not allow edits.";
  }

  #showWaiting() {
    this.#setWorking(true);
    this.panel.hidden = false;
    this.element.classList.add("waiting");
  }

  /** @param {boolean} working whether an image is shown instead of the welcome */
  #setWorking(working) {
    this.input.welcome.hidden = working;
    this.work.hidden = !working;
    this.element.classList.toggle("busy", working);
  }

  /** @param {Edit|null} edit null: nothing had to change @param {RelabelledAnswer|null} relabelled */
  async #edited(edit, relabelled) {
    if (!this.answer) return;
    if (!edit && this.selected >= 0) this.open(this.selected);
    else if (this.element.hidden) this.outdated = true;
    else if (relabelled) this.#relabel(relabelled, edit);
    else await this.#updateLabels(edit);
  }

  /** Label the image with the exemplars of now. @param {Edit|null} edit null: edits that were made elsewhere */
  async #updateLabels(edit) {
    if (!this.answer) return;
    this.outdated = false;
    try {
      this.#relabel(await api.relabel(this.answer.segmentation_id), edit);
    } catch (error) {
      this.context.showProblem(error);
    }
  }

  /** Show new labels. @param {RelabelledAnswer} answer @param {Edit|null} edit null: edits that were made elsewhere */
  #relabel(answer, edit) {
    const changed = visibleChanges(this.answer, answer);
    if (!this.image.relabel(answer, changed)) return this.#show(answer, this.image.photo);
    this.answer = answer;
    this.sameSegments.add(answer.segmentation_id);
    this.#showLabels(answer);
    this.#setAddress(false);
    if (edit) this.#showResult(edit, changed);
    else
      this.context.notify(
        changed.length
          ? `${counted(changed.length, "label")} changed; the segments have a dashed outline`
          : "No label of this image changed",
      );
    if (this.selected >= 0) this.#open(answer, this.selected, { focus: true, keep: true });
    this.recent.refresh();
  }

  /** @param {Edit} edit @param {LabelChange[]} changed */
  #showResult(edit, changed) {
    const { context } = this;
    const card = editResult(edit, changed, {
      colorOf: (name) => context.classes.colorOf(name),
      open: (id) => this.#openById(id),
      compare: (before) => this.image.compare(before),
      announce: (text) => this.announce(text),
      isShown: (id, image) => this.sameSegments.has(id) || (image !== null && image === this.answer?.image_id),
      undo: context.session.mayEdit ? () => context.revert(edit) : null,
      close: () => this.#clearResult(),
    });
    this.result.replaceChildren(card);
  }

  #clearResult() {
    this.result.replaceChildren();
    this.image.clearChanges();
  }

  /** On a phone the open panel covers the lower part of the image. */
  #leaveRoomForSheet() {
    const open = PHONE.matches && this.panel.classList.contains("open");
    const bottom = this.view.element.getBoundingClientRect().bottom;
    this.view.setCovered(open ? Math.max(bottom - (innerHeight - this.panel.offsetHeight), 0) : 0);
  }

  /** Put what is shown into the address. @param {boolean} push whether "back" returns from it */
  #setAddress(push) {
    if (!this.answer) return;
    this.context.setAddress(
      `#/s/${this.answer.segmentation_id}${this.selected >= 0 ? `/${this.selected}` : ""}`,
      push,
    );
  }
}

/** The changes of a relabelled answer that a person sees. @param {Answer|null} before @param {RelabelledAnswer} after */
function visibleChanges(before, after) {
  const known = new Map([...(before?.segments ?? []), ...after.segments].map((one) => [one.segment_id, one.known]));
  return after.changed.filter((one) => {
    const labelled = one.after === null ? one.before_segment_id : one.segment_id;
    return isVisible(one.before, one.after, known.get(labelled) ?? true);
  });
}
