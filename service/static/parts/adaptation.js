/** Improving the served release with the marks of its users: start, progress, scores, and the decision. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { bar } from "../lib/elements.js";
import { counted } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { JobProgress } from "./job_progress.js";

/** @typedef {import("../lib/types.js").AdaptationResult} AdaptationResult */
/** @typedef {import("../lib/types.js").Job} Job */
/** @typedef {import("./context.js").Context} Context */

const LEAST_CLASSES = 2;

/** One element, hidden where nothing can be improved. It follows the jobs, so that a reload changes nothing. */
export class Adaptation {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.progress = new JobProgress(context, "Stop");
    this.shown = ""; // what is shown, so that a button keeps the focus while nothing changes
    this.element = h("section", { class: "adaptation", "aria-label": "Improve with my marks", hidden: true });
    const update = () => this.#update();
    context.jobs.on("changed", update);
    context.releases.on("changed", update);
    context.classes.on("changed", update);
    context.session.on("changed", update);
  }

  #update() {
    const { jobs, releases, session } = this.context;
    const { served } = releases;
    const { running } = jobs;
    this.element.hidden = !session.mayEdit || !served?.adaptable;
    if (this.element.hidden || !served) return;
    if (running?.kind === "adapt") {
      this.progress.show(running);
      return this.#show(`running ${running.job_id}`, () => [h("h2", {}, "Improving with your marks"), this.progress.element, WAITING()]);
    }
    const last = jobs.newest("adapt");
    if (last && this.#isOpen(last, served.name)) return this.#show(`ended ${last.job_id}`, () => this.#ended(last));
    const reason = this.#whyNot(running);
    this.#show(`idle ${reason}`, () => this.#idle(reason));
  }

  /** Whether a person still has to see how a job ended. @param {Job} job @param {string} served */
  #isOpen(job, served) {
    if (this.context.jobs.isSeen(job) || job.state === "cancelled" || job.release !== served) return false;
    return job.state !== "succeeded" || (result(job).release !== served && !result(job).activated);
  }

  /** Why it cannot start now; "": it can. @param {Job|null} running */
  #whyNot(running) {
    const taught = this.context.classes.list.filter((one) => one.exemplars).length;
    if (running) return `${running.kind === "build" ? "A release is being built" : "Another job is under way"}. Wait until that has ended.`;
    if (taught < LEAST_CLASSES) return "Mark parts of two classes or more, and apply the marks. Then the release can be improved with them.";
    return "";
  }

  /** @param {string} state @param {() => (Node|string)[]} content */
  #show(state, content) {
    if (this.shown === state) return;
    this.shown = state;
    this.element.replaceChildren(...content());
  }

  /** @param {string} reason */
  #idle(reason) {
    const start = button({ class: "primary", disabled: Boolean(reason), on: { click: () => this.#start(start) } }, icon("up"), "Improve with my marks");
    const about =
      reason ||
      "Fits the release to all your marks in the background, in about half a minute. You see how much better it is before you decide.";
    return [start, h("p", { class: "fine" }, about)];
  }

  /** @param {HTMLButtonElement} pressed */
  async #start(pressed) {
    pressed.disabled = true;
    try {
      await this.context.jobs.follow(await api.adapt({ activate: "never" }));
      this.context.announce("Improving with your marks has begun.");
    } catch (error) {
      pressed.disabled = false;
      this.context.showProblem(error);
      this.context.jobs.refresh().catch(() => null);
    }
  }

  /** @param {Job} job @returns {Node[]} */
  #ended(job) {
    return job.state === "succeeded" ? this.#decision(job) : this.#failure(job);
  }

  /** @param {Job} job */
  #decision(job) {
    const found = result(job);
    const use = button({ class: found.better ? "primary" : "", on: { click: () => this.#use(job, use) } }, icon("check"), "Use the new release");
    const keep = button({ class: found.better ? "" : "primary", on: { click: () => this.context.jobs.markSeen(job) } }, "Keep the present one");
    if (this.element.checkVisibility()) this.context.announce(verdict(found));
    return [h("h2", {}, verdict(found)), ...scores(found), h("div", { class: "choices" }, use, keep)];
  }

  /** @param {Job} job @param {HTMLButtonElement} pressed */
  async #use(job, pressed) {
    pressed.disabled = true;
    const name = result(job).release;
    try {
      const { carried_over: edits } = await this.context.releases.accept(job.job_id, name);
      this.context.jobs.markSeen(job);
      const kept = edits ? `, with ${counted(edits, "edit")} made meanwhile` : "";
      this.context.notify(`${name} is served now${kept}. You can return to ${job.release} on the page Releases.`);
    } catch (error) {
      pressed.disabled = false;
      this.context.showProblem(error);
    }
  }

  /** @param {Job} job @returns {Node[]} */
  #failure(job) {
    const again = button({ class: "primary", on: { click: () => this.#start(again) } }, "Try again");
    const close = button({ on: { click: () => this.context.jobs.markSeen(job) } }, "Close");
    return [
      h("h2", {}, job.state === "interrupted" ? "The service was restarted before it was done" : "It could not be improved"),
      h("p", {}, whatToDo(job)),
      h("div", { class: "choices" }, again, close),
    ];
  }
}

const WAITING = () => h("p", { class: "fine" }, "You can go on marking: marks made meanwhile are kept.");

/** @param {Job} job that has succeeded @returns {AdaptationResult} */
const result = (job) => /** @type {AdaptationResult} */ (job.result);

/** @param {AdaptationResult} found */
function verdict({ before, after, better }) {
  if (before === null || after === null) return "The new release is ready, but cannot be compared yet";
  if (before === after) return "The new release is as good as the present one";
  return better ? "The new release is better" : "The new release is not better";
}

/** The scores before and after, and what they mean. @param {AdaptationResult} found @returns {Node[]} */
export function scores({ before, after, images }) {
  if (before === null || after === null)
    return [h("p", {}, "A comparison needs each class marked in two images or more. You can use it, look at a few images, and return.")];
  const measured = images ? `Measured on ${counted(images, "image")} with marks` : "Measured on the images with marks";
  return [
    h("div", { class: "score-bars" }, bar("Before", before, before.toFixed(2)), bar("After", after, after.toFixed(2))),
    h(
      "p",
      { class: "fine" },
      `${measured}: how well the labels cover your marks, averaged over the classes (mIoU; 1 is perfect). Each mark is labelled by a version that was not fitted to its image, so that the score tells what to expect on new images.`,
    ),
  ];
}

/** Why a job failed and what to do. @param {Job} job */
function whatToDo({ state, problem }) {
  if (state === "interrupted") return "Nothing was changed. Start it again.";
  const text = problem ?? "";
  if (/fewer than two classes/.test(text)) return "All marks are of one class. Mark some parts of another class, then try again.";
  if (/no pixel|no exemplars/i.test(text)) return "There are no marks to learn from. Mark a few parts of two classes, then try again.";
  if (/features\.onnx/.test(text)) return "This release cannot be improved. Start your own release on the start page, and mark your images there.";
  if (/No space left|disk/i.test(text)) return "The disk of the service is full. Ask the operator for space, then try again.";
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}. Nothing was changed. Mark more parts, or ask the operator to look into the log.`;
}
