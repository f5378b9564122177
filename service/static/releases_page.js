/** The releases: what is served, what it was made of, how good it is. */

import * as api from "./api.js";
import { bar } from "./card.js";
import { h, icon, percent } from "./dom.js";

/** @typedef {import("./app.js").App} App */
/**
 * @typedef {object} Release
 * @property {string} name
 * @property {boolean} active
 * @property {string} created
 * @property {string} description
 * @property {string|null} problem
 * @property {number|unknown[]} [classes]
 * @property {number} [exemplars]
 * @property {any} [network]
 * @property {Record<string, any>} [metrics]
 * @property {boolean} [bundled]
 */

export class ReleasesPage {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
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
          "A release is a network with its exemplars, never changed once it is built. Edits lie over the one that is served.",
        ),
        this.list,
      ),
    );
  }

  async show() {
    try {
      /** @type {Release[]} */
      const releases = await api.get("/releases");
      this.list.replaceChildren(
        ...releases.sort((a, b) => Number(b.active) - Number(a.active)).map((one) => this.#card(one)),
      );
    } catch (error) {
      this.app.problem(error);
    }
  }

  /** @param {Release} release */
  #card(release) {
    const { network } = release;
    const classes = Array.isArray(release.classes) ? release.classes.length : release.classes;
    const facts = /** @type {[string, any][]} */ ([
      ["Classes", classes],
      ["Exemplars", release.exemplars?.toLocaleString("en")],
      ["Network", typeof network === "string" ? network : network?.name],
      ["Parameters", network?.parameters && `${(network.parameters / 1e6).toFixed(1)} M`],
      ["Built", release.created && new Date(release.created).toLocaleDateString("en", { dateStyle: "medium" })],
    ]);
    return h(
      "article",
      { class: `release${release.active ? " active" : ""}` },
      h(
        "header",
        {},
        h("h2", {}, release.name),
        release.active ? h("span", { class: "tag accent" }, "served") : null,
        release.bundled ? h("span", { class: "tag" }, "bundled") : null,
        h("span", { class: "gap" }),
        release.active || release.problem || !this.app.session.mayEdit ? null : this.#activator(release.name),
      ),
      release.problem ? h("p", { class: "notice warn" }, icon("alert"), release.problem) : null,
      h("p", {}, release.description),
      h(
        "dl",
        { class: "facts-grid" },
        ...facts
          .filter(([, value]) => value !== undefined && value !== null && value !== "")
          .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
      ),
      ...Object.entries(release.metrics ?? {})
        .filter(([, one]) => one && typeof one.miou === "number")
        .map(([name, one]) => this.#metrics(name, one)),
    );
  }

  /** A button that lets a release be served. @param {string} name */
  #activator(name) {
    const serve = async () => {
      button.disabled = true;
      button.replaceChildren("Loading …");
      try {
        const told = await api.post(`/releases/${encodeURIComponent(name)}/activate`);
        await this.app.classes.refresh();
        const lasting = told.after_restart === name;
        this.app.tell(`${name} is served${lasting ? "" : ", until a restart"}`);
      } catch (error) {
        this.app.problem(error);
      }
      await this.show();
    };
    const button = h("button", { type: "button", class: "button small", on: { click: serve } }, "Serve this one");
    return button;
  }

  /** @param {string} name @param {any} one */
  #metrics(name, one) {
    const classes = Object.entries(one.per_class ?? {}).filter(([, value]) => typeof value === "number");
    return h(
      "details",
      { class: "metrics" },
      h(
        "summary",
        {},
        h("span", { class: "name" }, name),
        h(
          "span",
          { class: "figures" },
          h("span", {}, h("strong", {}, one.miou.toFixed(3)), " mIoU"),
          one.pixel_accuracy ? h("span", {}, h("strong", {}, percent(one.pixel_accuracy)), " of pixels right") : null,
        ),
      ),
      h(
        "div",
        { class: "bars" },
        ...classes.map(([key, value]) =>
          bar(key, Number(value), Number(value).toFixed(2), this.app.classes.colorOf(key)),
        ),
      ),
    );
  }
}
