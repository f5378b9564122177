/** The background jobs of the service: those under way are followed until they end. */

import * as api from "./api.js";
import { Emitter } from "./emitter.js";

/** @typedef {import("./types.js").Job} Job */

export const IMAGES = "segment"; // kind of jobs of images
const PAUSE_MS = 1000;
const ASKED = 20; // jobs
const KEPT = 50; // ids of jobs whose result was seen
const SEEN = "segsort.jobs.seen";

/**
 * Emits "changed" whenever the jobs have been loaded anew.
 * @extends {Emitter<{changed: null}>}
 */
export class Jobs extends Emitter {
  constructor() {
    super();
    /** @type {Job[]} the newest first */
    this.list = [];
    this.timer = 0;
  }

  /** The job under way that makes a release or an edit; null: none. Jobs of images run beside it. */
  get running() {
    return this.list.find((job) => !job.ended && job.kind !== IMAGES) ?? null;
  }

  /** The jobs of images, the newest first. */
  get ofImages() {
    return this.list.filter((job) => job.kind === IMAGES);
  }

  /** Whether any job is under way. */
  get isActive() {
    return this.list.some((job) => !job.ended);
  }

  /** The newest job of a kind; null: none. @param {string} kind */
  newest(kind) {
    return this.list.find((job) => job.kind === kind) ?? null;
  }

  /** Load the jobs, and again every second while one is under way. A silent service is asked again. */
  async refresh() {
    clearTimeout(this.timer);
    const before = this.isActive;
    try {
      this.list = await api.listJobs(ASKED);
      this.emit("changed", null);
    } catch (error) {
      if (!before) throw error;
    }
    clearTimeout(this.timer); // of a call that was under way, too
    if (this.isActive) this.timer = setTimeout(() => this.refresh().catch(() => null), PAUSE_MS);
  }

  /** Follow a job that was just started. @param {Job} job */
  follow(job) {
    this.list = [job, ...this.list.filter((one) => one.job_id !== job.job_id)];
    this.emit("changed", null);
    return this.refresh();
  }

  /** @param {Job} job */
  async cancel(job) {
    await api.cancelJob(job.job_id);
    await this.refresh();
  }

  /** Delete a job of images that has ended, with its result. @param {Job} job */
  async remove(job) {
    await api.deleteJob(job.job_id);
    await this.refresh();
  }

  /** Whether a person has dealt with the result of a job in this browser. @param {Job} job */
  isSeen(job) {
    return seenIds().includes(job.job_id);
  }

  /** @param {Job} job */
  markSeen(job) {
    try {
      localStorage.setItem(SEEN, JSON.stringify([job.job_id, ...seenIds()].slice(0, KEPT)));
    } catch {
      // without storage, the result is shown again after a reload
    }
    this.emit("changed", null);
  }
}

/** @returns {string[]} */
function seenIds() {
  try {
    const stored = JSON.parse(localStorage.getItem(SEEN) ?? "[]");
    return Array.isArray(stored) ? stored : [];
  } catch {
    return [];
  }
}
