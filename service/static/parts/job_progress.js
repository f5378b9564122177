/** The progress of a background job, with its stage in words and a button that stops it. */

import { button, h } from "../lib/dom.js";

/** @typedef {import("../lib/types.js").Job} Job */
/** @typedef {import("./context.js").Context} Context */

/** What a job does in each stage. */
const STAGES = /** @type {Record<string, string>} */ ({
  queued: "Starting",
  start: "Starting",
  snapshot: "Collecting your marks",
  images: "Reading the images",
  features: "Looking at the images",
  head: "Learning to tell the classes apart",
  calibration: "Measuring how sure it may be",
  exemplars: "Describing the examples anew",
  evaluation: "Labelling the images that were held out",
  comparison: "Labelling them with the present release, too",
  activation: "Storing the new release",
  store: "Storing the new release",
  edit: "Making the edit",
});

export class JobProgress {
  /**
   * @param {Context} context
   * @param {string} stopName name of the button
   * @param {Record<string, string>} [stages] what the job does in each stage
   * @param {string} [stopped] what is said when it was stopped
   */
  constructor(context, stopName, stages = STAGES, stopped = "Stopped. Nothing was changed.") {
    this.context = context;
    this.stages = stages;
    this.stopped = stopped;
    /** @type {Job|null} */
    this.job = null;
    this.text = h("span", {});
    this.line = h("span", { class: "progress-line" });
    this.track = h(
      "div",
      { class: "progress-track", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100 },
      this.line,
    );
    this.stop = button({ class: "small", on: { click: () => this.#cancel() } }, stopName);
    this.element = h("div", { class: "job-progress" }, h("div", { class: "progress-top" }, this.text, this.stop), this.track);
  }

  /** @param {Job} job */
  show(job) {
    if (this.job?.job_id !== job.job_id) this.stop.disabled = false;
    this.job = job;
    const count = job.total > 1 ? ` (${job.done} of ${job.total})` : "";
    const stage = `${this.stages[job.stage] ?? "Working"}${count}${job.problem ? `, waiting: ${job.problem}` : ""}`;
    if (this.text.textContent !== stage) this.text.textContent = stage;
    const done = Math.round(100 * job.progress);
    this.line.style.setProperty("--v", String(job.progress));
    this.track.setAttribute("aria-valuenow", String(done));
    this.track.setAttribute("aria-valuetext", `${stage}, ${done} %`);
  }

  async #cancel() {
    if (!this.job) return;
    this.stop.disabled = true;
    try {
      await this.context.jobs.cancel(this.job);
      this.context.notify(this.stopped);
    } catch (error) {
      this.stop.disabled = false;
      this.context.showProblem(error);
    }
  }
}
