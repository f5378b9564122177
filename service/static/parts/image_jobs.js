/** Jobs of many images on the page of images: the choice to make one, progress, cancel, download and deletion. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { Emitter } from "../lib/emitter.js";
import { counted } from "../lib/format.js";
import { isCancelled } from "../lib/http.js";
import { icon } from "../lib/icons.js";
import { JobProgress } from "./job_progress.js";

/** @typedef {import("../lib/types.js").Job} Job */
/** @typedef {import("../lib/types.js").SegmentResult} SegmentResult */
/** @typedef {import("./context.js").Context} Context */

export const MANY = 100; // files that are sent one by one without a question
const STAGES = { queued: "Waiting for its turn", images: "Segmenting in the background", export: "Writing the export" };

/**
 * Emits "ended" when a job has ended that was under way.
 * @extends {Emitter<{ended: null}>}
 */
export class ImageJobs extends Emitter {
  /** @param {Context} context @param {(files: File[]) => void} segmentHere adds files to the queue of this page */
  constructor(context, segmentHere) {
    super();
    this.context = context;
    this.segmentHere = segmentHere;
    /** @type {Map<string, Row>} by the id of the job */
    this.rows = new Map();
    this.question = h("section", { class: "batch-bar", "aria-label": "Many images", hidden: true });
    this.list = h("div", { class: "image-jobs" });
    this.element = h("div", {}, this.question, this.list);
    context.jobs.on("changed", () => this.#update());
  }

  /** Ask where very many images are to be segmented. @param {File[]} files */
  offer(files) {
    const done = () => (this.question.hidden = true);
    const choose = (/** @type {() => void} */ act) => () => {
      done();
      act();
    };
    this.question.replaceChildren(
      h(
        "div",
        { class: "batch-text", role: "status" },
        h("strong", {}, counted(files.length, "image")),
        h("span", { class: "fine" }, "In the background, the page may be closed meanwhile, and the result is an export to download."),
      ),
      h(
        "div",
        { class: "batch-actions" },
        button({ class: "small primary", on: { click: choose(() => this.#send(files)) } }, "Segment in the background"),
        button({ class: "small", on: { click: choose(() => this.segmentHere(files)) } }, "Segment on this page"),
        button({ class: "small", on: { click: done } }, "Cancel"),
      ),
    );
    this.question.hidden = false;
  }

  /** @param {File[]} files */
  async #send(files) {
    const text = h("strong", {});
    const control = new AbortController();
    const cancel = button({ class: "small", on: { click: () => control.abort() } }, "Cancel");
    this.question.replaceChildren(h("div", { class: "batch-text", role: "status" }, text), h("div", { class: "batch-actions" }, cancel));
    this.question.hidden = false;
    const show = (/** @type {number|null} */ share) =>
      (text.textContent = share === null ? "The images are looked at …" : `Sending ${counted(files.length, "image")}, ${Math.round(share * 100)} %`);
    try {
      show(0);
      await this.context.jobs.follow(await api.segmentInBackground(files, show, control.signal));
    } catch (error) {
      if (!isCancelled(error)) this.context.showProblem(error);
    } finally {
      this.question.hidden = true;
    }
  }

  #update() {
    const { jobs } = this.context;
    const shown = jobs.ofImages.filter((job) => !jobs.isSeen(job));
    for (const job of shown) {
      const row = this.rows.get(job.job_id) ?? new Row(this.context);
      if (this.rows.has(job.job_id) && job.ended && !row.isEnded) queueMicrotask(() => this.emit("ended", null));
      this.rows.set(job.job_id, row);
      row.show(job);
    }
    const kept = new Set(shown.map((job) => job.job_id));
    for (const jobId of [...this.rows.keys()]) if (!kept.has(jobId)) this.rows.delete(jobId);
    const elements = shown.map((job) => /** @type {Row} */ (this.rows.get(job.job_id)).element);
    if (elements.length !== this.list.children.length || elements.some((one, n) => one !== this.list.children[n]))
      this.list.replaceChildren(...elements);
  }
}

/** One job: its progress, or how it ended. */
class Row {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.progress = new JobProgress(context, "Stop", STAGES, "Stopped. The images that are done stay.");
    this.element = h("section", { class: "batch-bar", "aria-label": "Job of images" });
    this.isEnded = false;
    this.isShown = false;
  }

  /** @param {Job} job */
  show(job) {
    this.isEnded = Boolean(job.ended);
    if (!this.isEnded) {
      this.progress.show(job);
      if (!this.isShown) this.element.replaceChildren(this.progress.element);
      this.isShown = true;
      return;
    }
    if (this.element.dataset.state === job.state) return; // a button keeps the focus
    this.element.dataset.state = job.state;
    const { jobs } = this.context;
    const download = h("a", { class: "button small primary", href: api.resultUrl(job.job_id), download: "" }, icon("download"), "Download the export");
    const remove = button({ class: "small", on: { click: () => this.#remove(job) } }, "Delete the export");
    const hide = button({ class: "small", on: { click: () => jobs.markSeen(job) } }, "Dismiss");
    this.element.replaceChildren(
      h("div", { class: "batch-text", role: "status" }, h("strong", {}, summary(job)), h("span", { class: "fine" }, job.problem ?? "")),
      h("div", { class: "batch-actions" }, ...(job.result ? [download, remove] : []), hide),
    );
  }

  /** @param {Job} job */
  async #remove(job) {
    try {
      await this.context.jobs.remove(job);
      this.context.notify("The export was deleted. Its images stay.");
    } catch (error) {
      this.context.showProblem(error);
    }
  }
}

/** How a job ended, in words. @param {Job} job */
function summary(job) {
  if (job.state === "cancelled") return `Stopped after ${job.done} of ${counted(job.total, "image")}`;
  if (!job.result) return `None of ${counted(job.total, "image")} was segmented`;
  const { images, failed } = /** @type {SegmentResult} */ (job.result);
  return `${counted(images, "image")} segmented in the background${failed ? `, ${failed} failed` : ""}`;
}
