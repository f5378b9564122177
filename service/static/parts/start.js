/** The start page beside the drop area: what is served, starting one's own release, and sample images to try. */

import { button, h } from "../lib/dom.js";
import { swatch } from "../lib/elements.js";
import { counted } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { fittingSets, loadSamples, sampleUrl } from "../lib/samples.js";
import { startOwn } from "./start_own.js";
import { isUntaught } from "./teach_me.js";

/** @typedef {import("../lib/samples.js").SampleSet} SampleSet */
/** @typedef {import("./context.js").Context} Context */

const SHOWN_CLASSES = 12;

export class StartPart {
  /** @param {Context} context @param {(files: File[]) => void} send segments images */
  constructor(context, send) {
    this.context = context;
    this.send = send;
    this.served = h("section", { class: "start-card served-now", "aria-label": "What is served" });
    this.own = h("section", { class: "start-card", "aria-label": "Start your own" });
    this.samples = h("section", { class: "start-card samples", "aria-label": "Sample images" });
    this.shownSamples = ""; // names of the sets, so that a click is not lost while the same ones are shown again
    this.element = h("div", { class: "start" }, this.served, this.own, this.samples);
    context.releases.on("changed", () => this.#update());
    context.classes.on("changed", () => this.#update());
    context.session.on("changed", () => this.#showOwn());
  }

  #update() {
    if (this.context.releases.served) this.#showServed();
    this.#showSamples();
  }

  #showServed() {
    const release = this.context.releases.served;
    if (!release) return;
    const { list } = this.context.classes;
    const examples = list.reduce((sum, one) => sum + one.exemplars, 0);
    const made = release.created && new Date(release.created).toLocaleDateString("en", { dateStyle: "medium" });
    const facts = [counted(list.length, "class", "classes"), counted(examples, "example")];
    if (made) facts.push(`made ${made}`);
    this.served.replaceChildren(
      h("h2", {}, "Served now"),
      h("p", { class: "served-name" }, h("strong", {}, release.name), h("span", { class: "fine" }, facts.join(", "))),
      this.#classes(),
      h("p", { class: "fine" }, about(release.description ?? "", isUntaught(list))),
      h("a", { class: "start-link", href: "#/releases" }, "All releases", icon("right")),
    );
  }

  /** The classes with their colours and numbers of examples, the largest first. */
  #classes() {
    const classes = [...this.context.classes.list].sort((a, b) => b.exemplars - a.exemplars);
    const more = classes.length - SHOWN_CLASSES;
    return h(
      "ul",
      { class: "class-chips", hidden: !classes.length, "aria-label": "Classes and their numbers of examples" },
      ...classes
        .slice(0, SHOWN_CLASSES)
        .map(({ name, color, exemplars }) =>
          h("li", {}, swatch(color), h("span", { class: "name" }, name), h("span", { class: "figure" }, exemplars.toLocaleString("en"))),
        ),
      more > 0 ? h("li", { class: "figure" }, `${more} more`) : null,
    );
  }

  #showOwn() {
    this.own.hidden = !this.context.session.mayEdit;
    if (!this.own.hidden && !this.own.childElementCount) this.own.append(...startOwn(this.context));
  }

  #showSamples() {
    const sets = fittingSets(this.context.classes.list);
    this.samples.hidden = !sets.length;
    const untaught = isUntaught(this.context.classes.list);
    const shown = JSON.stringify([untaught, sets.map((set) => set.name)]);
    if (shown === this.shownSamples) return;
    this.shownSamples = shown;
    this.samples.replaceChildren(
      h("h2", {}, untaught ? "No images at hand? Mark these" : "Try sample images"),
      ...sets.map((set) => this.#set(set)),
    );
  }

  /** @param {SampleSet} set */
  #set(set) {
    const load = async (/** @type {string[]} */ files) => {
      try {
        this.send(await loadSamples(files));
      } catch (error) {
        this.context.showProblem(error);
      }
    };
    const images = set.files.map((file, i) =>
      h(
        "button",
        { type: "button", "aria-label": `${set.name}, sample image ${i + 1}`, on: { click: () => load([file]) } },
        h("img", { src: sampleUrl(file), alt: "", loading: "lazy", decoding: "async" }),
      ),
    );
    return h(
      "div",
      { class: "sample-set" },
      h(
        "div",
        { class: "sample-head" },
        h("div", {}, h("h3", {}, set.name), h("p", { class: "fine" }, set.about)),
        button({ class: "small", "aria-label": `Segment all ${set.files.length} images of ${set.name}`, on: { click: () => load(set.files) } }, `Segment all ${set.files.length}`),
      ),
      h("div", { class: "sample-images" }, ...images),
    );
  }
}

/** What a release is for, in its own words, shortened to its first sentence. @param {string} description @param {boolean} untaught */
function about(description, untaught) {
  if (untaught) return "It knows no class yet. It learns from what you mark.";
  return description.match(/^.*?[.!?](?=\s|$)/)?.[0] ?? description;
}
