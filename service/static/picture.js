/** The page of one picture: its labels, and the segment that is opened. */

import { Age } from "./age.js";
import * as api from "./api.js";
import { counted, h } from "./dom.js";
import { Inquiry, skeleton } from "./inquiry.js";
import { Intake } from "./intake.js";
import { stageKey } from "./keys.js";
import { Legend } from "./legend.js";
import { outcome } from "./outcome.js";
import { Photo } from "./photo.js";
import { Recents } from "./recents.js";
import { Scene } from "./scene.js";
import { SegmentList } from "./segments.js";
import { Sending } from "./sending.js";
import { grip } from "./sheet.js";
import { Stage } from "./stage.js";
import { Tip } from "./tip.js";
import { Toolbar } from "./toolbar.js";

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Edit} Edit */
/** @typedef {import("./app.js").App} App */

const NARROW = matchMedia("(max-width: 760px)");

export class PicturePage {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.title = "Picture";
    this.stage = new Stage();
    this.legend = new Legend();
    this.list = new SegmentList();
    this.intake = new Intake();
    this.sending = new Sending({
      preview: (photo) => this.#preview(photo),
      arrived: (answer, photo) => {
        this.#accept(answer, photo);
        app.address(`#/s/${answer.segmentation_id}`, true);
      },
      refused: (error, name) => this.#refused(error, name),
    });
    this.inquiry = new Inquiry(app);
    this.recents = new Recents((id) => app.go(`#/s/${id}`));
    this.toolbar = new Toolbar(this.stage, {
      pick: () => this.intake.open(),
      undo: () => app.undo(),
      detail: (segments) => this.#detail(segments),
      answer: () => this.answer,
    });
    this.outcome = h("div", { class: "outcome-slot" });
    this.labels = h("div", { class: "labels" }, this.legend.element, this.list.element);
    this.scroll = h("div", { class: "panel-scroll" }, this.outcome, this.labels, this.inquiry.element);
    this.panel = h("aside", { class: "panel", "aria-label": "Labels and explanation", hidden: true });
    this.panel.append(
      grip(this.panel, { close: () => this.close(), settle: () => this.#cover() }),
      this.inquiry.head,
      this.scroll,
      skeleton(),
    );
    this.tip = new Tip(this.stage.element);
    this.flag = h("div", { class: "stage-flag", hidden: true }, "Labels before the edit");
    this.note = h(
      "p",
      { class: "stage-note", hidden: true },
      "The picture is not kept, or this browser cannot show it.",
    );
    this.age = new Age(() => this.#relabelNow(null));
    this.work = h(
      "div",
      { class: "work", hidden: true },
      this.toolbar.element,
      h("div", { class: "stage" }, this.stage.element, this.tip.element, this.flag, this.note, this.age.element),
    );
    this.centre = h(
      "div",
      { class: "centre" },
      this.intake.welcome,
      this.work,
      this.sending.progress.element,
      this.recents.element,
    );
    this.element = h(
      "section",
      { class: "page picture", "aria-label": "Picture", hidden: true },
      h("h1", { class: "unseen" }, "Picture"),
      this.centre,
      this.panel,
      this.intake.input,
      this.intake.veil,
    );
    /** @type {Answer|null} */
    this.answer = null;
    this.selected = -1;
    /** @type {Photo|null} */
    this.photo = null;
    /** @type {Element|null} where the focus was when a segment was opened */
    this.opener = null;
    /** @type {Set<string>} answers of the same segments, before and after edits */
    this.lineage = new Set();
    this.stale = false;
    this.run = 0;
    this.#wire();
  }

  /** @param {string[]} path segmentation and segment, of the address */
  async show(path) {
    this.recents.refresh();
    const [id, place] = path;
    if (id && id !== this.answer?.segmentation_id) await this.#load(id);
    else if (!id && this.answer) this.#address(false);
    if (this.stale && this.answer) await this.#relabelNow(null);
    if (id && place !== undefined && this.answer?.segments[Number(place)]) this.open(Number(place), false);
    else if (id && place === undefined && this.inquiry.isOpen) this.close(false);
  }

  /** @param {number} place of the segment @param {boolean} [focus] */
  open(place, focus = true) {
    const { answer } = this;
    if (!answer?.segments[place]) return;
    const first = !this.inquiry.isOpen;
    if (first) this.opener = document.activeElement;
    this.selected = this.stage.selected = place;
    this.stage.active = -1;
    this.labels.hidden = true;
    this.panel.classList.add("open");
    if (!this.keepOutcome && !this.stage.changed.has(place)) this.#forget();
    this.scroll.scrollTop = 0;
    this.#cover();
    if (!this.stage.fitted) this.stage.reveal(answer.segments[place].bbox);
    this.stage.redraw(false);
    this.#address(first);
    const at = this.list.order.indexOf(place);
    this.inquiry.show(answer.segments[place], {
      pixels: answer.width * answer.height,
      place: at < 0 ? "" : `${at + 1} of ${this.list.order.length}`,
      focus,
    });
  }

  /** @param {boolean} [address] whether the address is to say so */
  close(address = true) {
    const place = this.selected;
    this.selected = this.stage.selected = -1;
    this.inquiry.hide();
    this.labels.hidden = false;
    this.panel.classList.remove("open");
    this.panel.style.removeProperty("--sheet");
    this.#forget();
    this.#cover();
    this.stage.redraw(false);
    this.list.activate(place, false);
    if (address) this.#address(false);
    const back =
      this.opener instanceof HTMLElement && this.opener.isConnected && this.opener !== document.body
        ? this.opener
        : this.stage.element;
    back.focus({ preventScroll: true });
  }

  /** Show the labels before the last edit, or the present ones. @param {boolean} before */
  compare(before) {
    this.stage.before = before ? (this.previous ?? null) : null;
    this.flag.hidden = !this.stage.before;
    this.stage.redraw();
  }

  #wire() {
    const { stage, list, legend, inquiry, app } = this;
    stage.addEventListener("hover", (event) => this.#hover(/** @type {CustomEvent} */ (event).detail));
    stage.addEventListener("open", (event) => {
      const place = /** @type {CustomEvent} */ (event).detail;
      if (place >= 0) this.open(place);
      else if (inquiry.isOpen) this.close();
    });
    stage.element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => stageKey(this, event));
    list.addEventListener("active", (event) => {
      stage.active = /** @type {CustomEvent} */ (event).detail;
      stage.redraw(false);
    });
    list.addEventListener("open", (event) => this.open(/** @type {CustomEvent} */ (event).detail));
    legend.addEventListener("only", (event) => {
      stage.look.only = /** @type {CustomEvent} */ (event).detail;
      stage.redraw();
    });
    legend.addEventListener("pin", (event) => list.filter(/** @type {CustomEvent} */ (event).detail));
    inquiry.addEventListener("approach", () => stage.approach(inquiry.segment?.bbox ?? [0, 0, 1, 1]));
    inquiry.addEventListener("close", () => this.close());
    inquiry.addEventListener("step", (event) => this.step(/** @type {CustomEvent} */ (event).detail));
    inquiry.addEventListener("open", (event) => this.#openById(/** @type {CustomEvent} */ (event).detail));
    this.intake.addEventListener("files", (event) => this.#send(/** @type {CustomEvent} */ (event).detail));
    app.edits.addEventListener("edited", (event) => this.#edited(/** @type {CustomEvent} */ (event).detail));
    NARROW.addEventListener("change", () => this.#cover());
  }

  /** @param {File[]} files */
  async #send(files) {
    if (this.element.hidden) this.app.go("#/");
    await this.sending.send(files);
    this.recents.refresh();
  }

  /** @param {number|null} segments that the picture is to have */
  async #detail(segments) {
    this.sending.segments = segments;
    if (!this.answer) return;
    if (await this.sending.again(this.answer.segmentation_id, segments)) this.recents.refresh();
    else this.app.tell("The picture is not kept any more: choose it again to segment it anew");
  }

  /** @param {unknown} error @param {string} name */
  #refused(error, name) {
    if (this.answer) {
      if (this.element.classList.contains("waiting")) this.#accept(this.answer, this.photo);
      this.#address(false);
      this.app.problem(error, name);
    } else {
      this.#stand(false);
      this.element.classList.remove("waiting");
      this.panel.hidden = true;
      this.intake.refuse(error, name);
    }
  }

  /** The photograph while its labels are on the way. @param {Photo} photo */
  #preview(photo) {
    this.#await();
    const { width, height } = photo.full;
    this.stage.show(Scene.blank(width, height), photo);
  }

  /** @param {Answer} answer @param {Photo|null} photo */
  #accept(answer, photo) {
    this.#stand(true);
    this.element.classList.remove("waiting");
    if (this.inquiry.isOpen) this.close(false);
    this.outcome.replaceChildren();
    this.answer = answer;
    this.lineage = new Set([answer.segmentation_id]);
    if (this.photo !== photo) this.photo?.close();
    this.photo = photo;
    this.stale = false;
    this.list.active = -1;
    this.scroll.scrollTop = 0;
    this.scene = new Scene(answer);
    this.stage.show(this.scene, photo);
    this.#describe(answer);
    this.age.hide();
    this.note.hidden = photo !== null;
    const unknown = answer.segments.filter((one) => !one.known).length;
    this.app.say(`${counted(answer.segments.length, "segment")}, ${unknown} of them unknown.`);
  }

  /** @param {Answer} answer */
  #describe(answer) {
    this.app.classes.learn(answer.classes);
    this.panel.hidden = false;
    this.legend.show(answer);
    this.list.show(answer);
    this.recents.mark(answer.segmentation_id);
  }

  #await() {
    this.#stand(true);
    this.panel.hidden = false;
    this.element.classList.add("waiting");
  }

  /** @param {boolean} busy whether there is a picture to look at */
  #stand(busy) {
    this.intake.welcome.hidden = busy;
    this.work.hidden = !busy;
    this.element.classList.toggle("busy", busy);
  }

  /** @param {string} id */
  async #load(id) {
    const run = ++this.run;
    this.intake.clear();
    if (!this.answer) this.#await();
    try {
      const place = `/segmentations/${encodeURIComponent(id)}`;
      const [answer, photo, edits] = await Promise.all([
        api.get(`${place}?exemplars=0`),
        Photo.from(`${place}/image`),
        api.get("/edits?limit=1"),
      ]);
      if (run !== this.run) return;
      this.sending.file = null;
      this.#accept(answer, photo);
      this.age.show(answer, edits[0]?.revision ?? 0);
    } catch (error) {
      if (run === this.run) this.#refused(error, "");
    }
  }

  /** @param {{edit: Edit, relabelled: Answer|null}} made */
  async #edited({ edit, relabelled }) {
    if (!this.answer) return;
    if (!edit && this.selected >= 0) this.open(this.selected);
    else if (this.element.hidden) this.stale = true;
    else if (relabelled) this.#relabel(relabelled, edit);
    else await this.#relabelNow(edit);
  }

  /** @param {Edit|null} edit null: those made meanwhile, elsewhere */
  async #relabelNow(edit) {
    if (!this.answer) return;
    this.stale = false;
    try {
      this.#relabel(await api.post(`/segmentations/${this.answer.segmentation_id}/relabel`), edit);
    } catch (error) {
      this.app.problem(error);
    }
  }

  /** The same segments, labelled anew. @param {Answer} answer @param {Edit|null} edit */
  #relabel(answer, edit) {
    if (!this.scene?.fits(answer)) return this.#accept(answer, this.photo);
    const places = new Map(answer.segments.map((one, place) => [one.segment_id, place]));
    this.age.hide();
    this.previous = this.scene.labelling;
    this.scene.labelling = this.scene.label(answer);
    this.answer = answer;
    this.lineage.add(answer.segmentation_id);
    this.stage.changed = new Set((answer.changed ?? []).map((one) => places.get(one.segment_id) ?? -1));
    this.compare(false);
    this.#describe(answer);
    this.#address(false);
    if (edit) this.#tell(edit, answer);
    else
      this.app.tell(
        answer.changed?.length
          ? `${counted(answer.changed.length, "segment")} changed, dashed in the picture`
          : "The labels are the same",
      );
    this.keepOutcome = true;
    if (this.selected >= 0) this.open(this.selected);
    this.keepOutcome = false;
    this.recents.refresh();
  }

  /** What the last edit changed needs no more showing. */
  #forget() {
    this.outcome.replaceChildren();
    this.stage.changed = new Set();
    this.compare(false);
  }

  /** @param {Edit} edit @param {Answer} answer */
  #tell(edit, answer) {
    const { app } = this;
    const card = outcome(edit, answer.changed ?? [], {
      colorOf: (name) => app.classes.colorOf(name),
      open: (id) => this.#openById(id),
      compare: (before) => this.compare(before),
      say: (text) => app.say(text),
      isHere: (id, image) => this.lineage.has(id) || (image !== null && image === answer.image_id),
      undo: app.session.mayEdit ? () => app.takeBack(edit) : null,
      close: () => this.#forget(),
    });
    this.outcome.replaceChildren(card);
  }

  /** @param {string} segmentId of this picture or another */
  #openById(segmentId) {
    const place = this.answer?.segments.findIndex((one) => one.segment_id === segmentId) ?? -1;
    const [, id, at] = /^(.*)-(\d+)$/.exec(segmentId) ?? [];
    if (place >= 0) this.open(place);
    else this.app.go(`#/s/${id}/${at}`);
  }

  /** @param {number} by */
  step(by) {
    const to = this.list.neighbour(this.selected, by);
    if (to >= 0) this.open(to);
  }

  /** @param {number} place */
  #hover(place) {
    const segment = this.answer?.segments[place];
    this.tip.show(segment, segment ? this.app.classes.colorOf(segment.class_name) : "");
  }

  /** On a phone the sheet covers the lower part of the stage. */
  #cover() {
    const open = NARROW.matches && this.panel.classList.contains("open");
    const covered = open
      ? this.stage.element.getBoundingClientRect().bottom - (innerHeight - this.panel.offsetHeight)
      : 0;
    this.stage.cover({ bottom: Math.max(covered, 0) });
  }

  /** @param {boolean} push whether going back undoes it */
  #address(push) {
    if (!this.answer) return;
    this.app.address(`#/s/${this.answer.segmentation_id}${this.selected >= 0 ? `/${this.selected}` : ""}`, push);
  }
}
