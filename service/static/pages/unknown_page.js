/** The page of unknown things: groups of similar unknown segments to name at once, and images to label next. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { skeleton } from "../lib/elements.js";
import { counted } from "../lib/format.js";
import { describe } from "../lib/http.js";
import { icon } from "../lib/icons.js";
import { SegmentGroup } from "../parts/segment_group.js";
import { suggestionCard } from "../parts/suggestion_card.js";

/** @typedef {import("../lib/types.js").ClusterList} ClusterList */
/** @typedef {import("../lib/types.js").SuggestionList} SuggestionList */
/** @typedef {import("../parts/context.js").Context} Context */

const SUGGESTED = 8; // images

export class UnknownPage {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.title = "Unknown";
    this.which = h(
      "select",
      { class: "small", id: "unknown-which", on: { change: () => this.show() } },
      h("option", { value: "unknown" }, "Unknown segments"),
      h("option", { value: "unsure" }, "Unknown and unsure segments"),
    );
    this.summary = h("p", { class: "fine", "aria-live": "polite" });
    this.groups = h("div", { class: "groups" });
    this.next = h("section", { class: "next-images", "aria-labelledby": "next-images-title", hidden: true });
    this.element = h(
      "section",
      { class: "page", "aria-label": "Unknown", hidden: true },
      h(
        "div",
        { class: "content unknown-content" },
        h(
          "div",
          { class: "page-head" },
          h("h1", {}, "Unknown"),
          h("span", { class: "gap" }),
          h("label", { class: "labelled", htmlFor: "unknown-which" }, "Show", this.which),
        ),
        this.summary,
        this.next,
        this.groups,
      ),
    );
    this.run = 0;
    context.edits.on("edited", () => !this.element.hidden && this.show());
  }

  /** Load the groups anew. The old ones stay until the new ones are there. */
  async show() {
    const run = ++this.run;
    this.groups.ariaBusy = "true";
    if (!this.groups.childElementCount) this.groups.replaceChildren(skeleton());
    try {
      const which = this.which.value === "unsure" ? "unsure" : "unknown";
      const [clusters, suggestions] = await Promise.all([api.listClusters(which), api.listSuggestions(SUGGESTED)]);
      if (run !== this.run) return;
      this.#showClusters(clusters);
      this.#showSuggestions(suggestions);
    } catch (error) {
      if (run === this.run) this.#showFailure(error);
    } finally {
      if (run === this.run) this.groups.ariaBusy = "false";
    }
  }

  /** @param {ClusterList} found */
  #showClusters(found) {
    const { clusters, clusters_found: all, images, segments } = found;
    if (!clusters.length) {
      this.summary.textContent = "";
      this.groups.replaceChildren(this.#nothing(images));
      return;
    }
    const unsure = this.which.value === "unsure" ? " or unsure" : "";
    const shown = all > clusters.length ? ` The ${clusters.length} largest of ${all} groups are shown.` : "";
    const advice = this.context.session.mayEdit
      ? " Name a group to teach it: all its selected segments become examples of the class, in one edit."
      : " Ask a curator to name them: your key does not allow edits.";
    this.summary.textContent =
      `${counted(segments, `unknown${unsure} segment`)} in the newest ${counted(images, "image")}, ` +
      `in ${counted(all, "group")} of similar ones.${shown}${advice}`;
    this.groups.replaceChildren(
      ...clusters.map((cluster, n) => new SegmentGroup(cluster, n + 1, this.context).element),
    );
  }

  /** @param {SuggestionList} found */
  #showSuggestions({ suggestions }) {
    this.next.hidden = !suggestions.length;
    this.next.replaceChildren(
      h("h2", { id: "next-images-title" }, "Images to label next"),
      h(
        "p",
        { class: "fine" },
        "Chosen so that labelling them teaches most: much of them is uncertain, and they differ from the examples and from each other.",
      ),
      h("ol", { class: "suggestions" }, ...suggestions.map((one) => h("li", {}, suggestionCard(one)))),
    );
  }

  /** What to do where nothing is unknown. @param {number} images that were looked at */
  #nothing(images) {
    if (!images)
      return empty(
        "image",
        "There are no images yet.",
        "Segment some images first. What the release does not know then appears here, in groups.",
        h("a", { class: "button", href: "#/" }, "Choose images"),
      );
    const text = `Nothing is unknown in the newest ${counted(images, "image")}.`;
    if (this.which.value === "unsure") return empty("check", text, "No label is unsure either.");
    const look = () => {
      this.which.value = "unsure";
      this.show();
    };
    return empty("check", text, "You can check labels with a low confidence.", button({ on: { click: look } }, "Show unsure segments"));
  }

  /** @param {unknown} error */
  #showFailure(error) {
    const { message, advice } = describe(error);
    this.summary.textContent = "";
    this.groups.replaceChildren(empty("alert", message, advice, button({ on: { click: () => this.show() } }, "Try again")));
  }
}

/**
 * A page without content, and what to do.
 * @param {import("../lib/icons.js").IconName} drawing
 * @param {string} text
 * @param {string} advice
 * @param {HTMLElement} [action]
 */
const empty = (drawing, text, advice, action) =>
  h("div", { class: "empty" }, icon(drawing), h("p", {}, h("strong", {}, text)), h("p", { class: "fine" }, advice), action);
