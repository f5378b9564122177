/** Building a release from labelled images: choose, look at what was found, build, decide. A reload changes nothing. */

import * as api from "../lib/api.js";
import { h } from "../lib/dom.js";
import { buildForm } from "../parts/build_form.js";
import { BuildInput } from "../parts/build_input.js";
import { buildResult } from "../parts/build_result.js";
import { JobProgress } from "../parts/job_progress.js";

/** @typedef {import("../lib/types.js").Job} Job */
/** @typedef {import("../lib/types.js").Survey} Survey */
/** @typedef {import("../parts/context.js").Context} Context */

const ADDRESS = "#/releases/build";

export class BuildView {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.input = new BuildInput(context, (survey) => context.navigate(`${ADDRESS}/${survey.survey_id}`));
    this.progress = new JobProgress(context, "Stop");
    this.content = h("div", { class: "build" });
    this.shown = "";
    /** @type {Survey|null} */
    this.survey = null;
    this.element = h(
      "div",
      { class: "content narrow", hidden: true },
      h("p", {}, h("a", { href: "#/releases" }, "All releases")),
      h("div", { class: "page-head" }, h("h1", {}, "Build from labelled images")),
      this.content,
    );
    context.jobs.on("changed", () => this.#update());
    context.session.on("changed", () => this.#update());
  }

  /** @param {string|undefined} surveyId */
  async show(surveyId) {
    this.shown = "";
    if (surveyId !== this.survey?.survey_id) this.survey = null;
    this.#update();
    if (!surveyId || this.survey) return;
    try {
      this.survey = await api.getSurvey(surveyId);
      this.#update();
    } catch {
      this.context.setAddress(ADDRESS, false);
      if (this.shown === "input") this.context.notify("These labelled images are not kept any more. Choose them again.");
    }
  }

  #update() {
    if (this.element.hidden) return;
    const { jobs, session } = this.context;
    const { running } = jobs;
    const last = jobs.newest("build");
    if (!session.mayEdit) return this.#put("reader", () => h("p", {}, "Your key does not allow to build releases. Ask a curator."));
    if (running?.kind === "build") return this.#showProgress(running);
    if (last && last.state !== "cancelled" && !jobs.isSeen(last))
      return this.#put(`ended ${last.job_id}`, () => buildResult(this.context, last, () => this.#seen(last)));
    const { survey } = this;
    if (!survey) return this.#put("input", () => this.input.element);
    this.#put(`survey ${survey.survey_id}`, () =>
      buildForm(survey, {
        releases: this.context.releases.list,
        build: async (choice) => jobs.follow(await api.buildRelease({ survey_id: survey.survey_id, ...choice })),
        discard: () => this.#discard(survey),
      }),
    );
  }

  /** @param {Job} job */
  #showProgress(job) {
    this.progress.show(job);
    this.#put(`running ${job.job_id}`, () =>
      h(
        "section",
        { class: "start-card", "aria-label": "Progress of the build" },
        h("h2", {}, "Building the release"),
        this.progress.element,
        h("p", { class: "fine" }, "You can leave this page; the build goes on. The present release is served meanwhile."),
      ),
    );
  }

  /** @param {string} state @param {() => HTMLElement} content */
  #put(state, content) {
    if (this.shown === state) return;
    this.shown = state;
    this.content.replaceChildren(content());
  }

  /** @param {Job} job */
  #seen(job) {
    if (job.state === "succeeded") {
      this.survey = null;
      this.context.setAddress(ADDRESS, false);
    }
    this.context.jobs.markSeen(job);
    this.context.releases.refresh().catch(() => null);
    if (job.state === "succeeded") this.context.navigate("#/releases");
  }

  /** @param {Survey} survey */
  #discard(survey) {
    api.removeSurvey(survey.survey_id).catch(() => null);
    this.survey = null;
    this.context.navigate(ADDRESS);
  }
}
