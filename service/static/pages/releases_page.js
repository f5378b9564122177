/** The page of releases: which one is served, the others, improving it, building one, and comparing two. */

import * as api from "../lib/api.js";
import { h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { Adaptation } from "../parts/adaptation.js";
import { JobProgress } from "../parts/job_progress.js";
import { releaseCard } from "../parts/release_card.js";
import { BuildView } from "./build_view.js";
import { CompareView } from "./compare_view.js";

/** @typedef {import("../lib/types.js").CarryResult} CarryResult */
/** @typedef {import("../lib/types.js").Job} Job */
/** @typedef {import("../lib/types.js").ReleaseSummary} ReleaseSummary */
/** @typedef {import("../parts/context.js").Context} Context */

export class ReleasesPage {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.title = "Releases";
    this.adaptation = new Adaptation(context);
    this.build = new BuildView(context);
    this.compare = new CompareView(context);
    this.carrying = new JobProgress(context, "Stop");
    this.carryingId = ""; // of the job that carries edits over; "": none is under way
    this.list = h("div", { class: "releases" });
    this.shown = ""; // what the cards tell, so that nothing moves or closes while nothing changes
    this.overview = h(
      "div",
      { class: "content narrow" },
      h("div", { class: "page-head" }, h("h1", {}, "Releases")),
      h(
        "p",
        { class: "fine" },
        "A release is a network with its exemplars. It never changes: what you mark is stored beside it, and improving makes a new one. So you can always go back.",
      ),
      h("nav", { class: "release-ways", "aria-label": "Make and compare releases" }, ...ways()),
      this.list,
    );
    this.element = h("section", { class: "page", "aria-label": "Releases", hidden: true }, this.overview, this.build.element, this.compare.element);
    context.releases.on("changed", () => this.#update());
    context.session.on("changed", () => this.#update());
    context.classes.on("changed", () => this.#update());
    context.jobs.on("changed", () => this.#followCarry());
  }

  /** @param {string[]} path a view of the page, and what it shows */
  async show([view, ...rest]) {
    this.build.element.hidden = view !== "build";
    this.compare.element.hidden = view !== "compare";
    this.overview.hidden = view === "build" || view === "compare";
    if (view === "build") this.build.show(rest[0]);
    if (view === "compare") this.compare.show(rest);
    const { jobs, releases } = this.context;
    try {
      await Promise.all([releases.refresh(), jobs.refresh()]);
    } catch (error) {
      this.context.showProblem(error);
    }
  }

  /** Show the cards. @param {boolean} [again] also where they tell nothing new: a button waits in one of them */
  #update(again = false) {
    const { classes, releases, session } = this.context;
    const { list, served } = releases;
    const shown = JSON.stringify([list, classes.list, session.mayEdit, this.carryingId]);
    if (shown === this.shown && !again) return;
    this.shown = shown;
    this.list.replaceChildren(...inOrder(list).map((one) => this.#card(one, served)));
  }

  /** @param {ReleaseSummary} release @param {ReleaseSummary|null} served */
  #card(release, served) {
    const { classes, session } = this.context;
    return releaseCard(release, {
      served,
      classes: classes.list,
      colorOf: (name) => classes.colorOf(name),
      serve: session.mayEdit ? (name) => this.#serve(name) : null,
      carry: session.mayEdit ? () => this.#carry(release.name) : null,
      carrying: this.carryingId ? this.carrying.element : null,
      more: release.active ? this.adaptation.element : null,
    });
  }

  /** @param {string} name of the release */
  async #carry(name) {
    try {
      await this.context.jobs.follow(await api.carryEdits(name));
    } catch (error) {
      this.context.showProblem(error);
      this.#update(true);
    }
  }

  /** Show how far the job is that carries edits over, and what came of it. It is found again after a reload. */
  #followCarry() {
    const { jobs, releases } = this.context;
    const job = jobs.newest("carry");
    if (!job) return;
    if (!job.ended) {
      this.carrying.show(job);
      if (this.carryingId === job.job_id) return;
      this.carryingId = job.job_id;
      this.#update();
    } else if (this.carryingId === job.job_id) {
      this.carryingId = "";
      if (job.state !== "cancelled") this.context.notify(outcome(job));
      releases.carried().catch((error) => this.context.showProblem(error));
    }
  }

  /** @param {string} name of the release */
  async #serve(name) {
    try {
      const { after_restart: next } = await this.context.releases.activate(name);
      const lasting = next === name ? "" : " until the service restarts";
      this.context.notify(`${name} is served now${lasting}`);
    } catch (error) {
      this.context.showProblem(error);
      this.#update(true);
    }
  }
}

/** What came of carrying edits over. @param {Job} job */
function outcome({ state, result, problem }) {
  if (state === "interrupted") return "The service was restarted before the edits were carried over. Nothing was changed.";
  if (state !== "succeeded") return `The edits were not carried over: ${problem ?? "the job failed"}.`;
  const { summary, left } = /** @type {CarryResult} */ (result);
  const rest = left.length ? ` Not carried over: ${left.join("; ")}.` : "";
  return `${summary ?? "No edits wait"}.${rest}`;
}

/** The ways to make a release. */
const ways = () => [
  h("a", { class: "button editing", href: "#/start" }, icon("plus"), "Start an empty one"),
  h("a", { class: "button editing", href: "#/releases/build" }, icon("upload"), "Build from labelled images"),
  h("a", { class: "button", href: "#/releases/compare" }, icon("stack"), "Compare two releases"),
];

/** The served release first, then its ancestors, then the others, the newest first. @param {ReleaseSummary[]} list */
function inOrder(list) {
  const byName = new Map(list.map((one) => [one.name, one]));
  const first = /** @type {ReleaseSummary[]} */ ([]);
  let next = list.find((one) => one.active);
  while (next && !first.includes(next)) {
    first.push(next);
    next = next.parent ? byName.get(next.parent) : undefined;
  }
  const others = list.filter((one) => !first.includes(one));
  others.sort((a, b) => (b.created ?? "").localeCompare(a.created ?? ""));
  return [...first, ...others];
}
