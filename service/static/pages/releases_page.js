/** The page of releases: which one is served, what it contains, how accurate it is. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { bar } from "../lib/elements.js";
import { percent } from "../lib/format.js";
import { icon } from "../lib/icons.js";

/** @typedef {import("../lib/types.js").ReleaseSummary} ReleaseSummary */
/** @typedef {import("../parts/context.js").Context} Context */
/**
 * What evaluations write into a release's card; each number is in 0..1.
 * @typedef {{miou?: number, pixel_accuracy?: number, per_class?: Record<string, number|null>}} Metrics
 */

export class ReleasesPage {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.title = "Releases";
    this.list = h("div", { class: "releases" });
    this.element = h(
      "section",
      { class: "page", "aria-label": "Releases", hidden: true },
      h(
        "div",
        { class: "content narrow" },
        h("div", { class: "page-head" }, h("h1", {}, "Releases")),
        h(
          "p",
          { class: "fine" },
          "A release is a network with its exemplars. It never changes; edits are stored separately and apply to the release that is served.",
        ),
        this.list,
      ),
    );
  }

  async show() {
    try {
      const releases = await api.listReleases();
      releases.sort((a, b) => Number(b.active) - Number(a.active));
      this.list.replaceChildren(...releases.map((one) => this.#card(one)));
    } catch (error) {
      this.context.showProblem(error);
    }
  }

  /** @param {ReleaseSummary} release */
  #card(release) {
    const { name, active, bundled, problem, description, metrics, licence } = release;
    const servable = !active && !problem && this.context.session.mayEdit;
    return h(
      "article",
      { class: `release${active ? " active" : ""}` },
      h(
        "header",
        {},
        h("h2", {}, name),
        active ? h("span", { class: "tag accent" }, "served") : null,
        bundled ? h("span", { class: "tag" }, "bundled") : null,
        h("span", { class: "gap" }),
        servable ? this.#serveButton(name) : null,
      ),
      problem ? h("p", { class: "notice warn" }, icon("alert"), h("span", {}, problem)) : null,
      h("p", {}, description),
      h(
        "dl",
        { class: "facts-grid" },
        ...facts(release).map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
      ),
      ...Object.entries(metrics ?? {}).map(([dataset, one]) => this.#metrics(dataset, one)),
      licences(licence),
    );
  }

  /** @param {string} name of the release */
  #serveButton(name) {
    const serve = async () => {
      element.disabled = true;
      element.replaceChildren("Loading …");
      try {
        const { after_restart: next } = await api.activateRelease(name);
        await this.context.classes.refresh();
        const lasting = next === name ? "" : " until the service restarts";
        this.context.notify(`${name} is served now${lasting}`);
      } catch (error) {
        this.context.showProblem(error);
      }
      await this.show();
    };
    const element = button({ class: "small", on: { click: serve } }, "Serve this release");
    return element;
  }

  /** @param {string} dataset @param {Metrics} metrics */
  #metrics(dataset, metrics) {
    const { miou, pixel_accuracy: accuracy, per_class: perClass } = metrics ?? {};
    if (typeof miou !== "number") return null;
    const bars = Object.entries(perClass ?? {}).flatMap(([name, value]) =>
      typeof value === "number" ? [bar(name, value, value.toFixed(2), this.context.classes.colorOf(name))] : [],
    );
    return h(
      "details",
      { class: "metrics" },
      h(
        "summary",
        {},
        h("span", { class: "name" }, dataset),
        h(
          "span",
          { class: "figures" },
          h("span", { title: "mean intersection over union" }, h("strong", {}, miou.toFixed(3)), " mIoU"),
          accuracy ? h("span", {}, h("strong", {}, percent(accuracy)), " of pixels correct") : null,
        ),
      ),
      h("div", { class: "bars" }, ...bars),
    );
  }
}

/**
 * Whose the images and the network are.
 * @param {ReleaseSummary["licence"]} licence
 */
function licences(licence) {
  const { network, ...images } = licence ?? {};
  const all = Object.entries({ ...images, ...network }).filter(([, value]) => value);
  if (!all.length) return null;
  /** @type {Record<string, string>} */
  const names = { exemplars: "Images", added: "Added images", weights: "Network", "training data": "Network trained on" };
  return h(
    "details",
    { class: "licence" },
    h("summary", {}, "Licences"),
    h("dl", {}, ...all.map(([subject, value]) => h("div", {}, h("dt", {}, names[subject] ?? `Network: ${subject}`), h("dd", {}, String(value))))),
  );
}

/** What the release says of itself, without what it does not know. @param {ReleaseSummary} release @returns {[string, string][]} */
function facts({ classes, exemplars, network, created }) {
  const all = /** @type {[string, string|null|undefined][]} */ ([
    ["Classes", classes?.toLocaleString("en")],
    ["Exemplars", exemplars?.toLocaleString("en")],
    ["Network", network?.name],
    ["Parameters", network?.parameters ? `${(network.parameters / 1e6).toFixed(1)} M` : null],
    ["Built", created ? new Date(created).toLocaleDateString("en", { dateStyle: "medium" }) : null],
  ]);
  return all.flatMap(([term, value]) => (value ? [/** @type {[string, string]} */ ([term, value])] : []));
}
