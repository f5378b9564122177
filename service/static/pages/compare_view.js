/** Comparing two releases on the images that were segmented last. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { bar } from "../lib/elements.js";
import { counted, percent } from "../lib/format.js";
import { comparedImage } from "../parts/compared_image.js";

/** @typedef {import("../lib/types.js").AnswerSummary} AnswerSummary */
/** @typedef {import("../lib/types.js").Comparison} Comparison */
/** @typedef {import("../parts/context.js").Context} Context */

const MOST = 8; // images of one comparison, as the service allows
const PROPOSED = 3;
const ASKED = 48; // answers; several may be of one image

export class CompareView {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.a = h("select", { id: "compare-a" });
    this.b = h("select", { id: "compare-b" });
    this.images = h("ul", { class: "strip compare-images" });
    this.empty = h("p", { class: "fine", hidden: true }, "No image is stored. Segment some images first: a comparison needs images.");
    this.start = button({ class: "primary", on: { click: () => this.#compare() } }, "Compare");
    this.result = h("div", { class: "compare-result", "aria-live": "polite" });
    /** @type {(string|undefined)[]} releases that the address names */
    this.wanted = [];
    this.isNew = true; // whether the releases are still to be chosen
    /** @type {Set<string>} answers whose images are compared */
    this.chosen = new Set();
    this.element = h(
      "div",
      { class: "content compare", hidden: true },
      h("p", {}, h("a", { href: "#/releases" }, "All releases")),
      h("div", { class: "page-head" }, h("h1", {}, "Compare two releases")),
      h(
        "section",
        { class: "start-card", "aria-label": "What is compared" },
        h("div", { class: "build-fields" }, field("First release", "compare-a", this.a), field("Second release", "compare-b", this.b)),
        h("h2", {}, `Images, at most ${MOST}`),
        this.images,
        this.empty,
        h("div", { class: "choices" }, this.start),
      ),
      this.result,
    );
    context.releases.on("changed", () => this.#showReleases());
  }

  /** @param {string[]} names of the releases */
  async show([a, b]) {
    this.wanted = [a, b];
    this.isNew = true;
    this.result.replaceChildren();
    this.#showReleases();
    try {
      this.#showImages(await api.listSegmentations(ASKED));
    } catch (error) {
      this.context.showProblem(error);
    }
  }

  #showReleases() {
    const { list, served } = this.context.releases;
    const names = list.filter((one) => !one.problem).map((one) => one.name);
    if (!names.length) return;
    const [a, b] = this.wanted;
    const second = b ?? served?.name;
    const first = a ?? served?.parent ?? names.find((name) => name !== second);
    for (const [select, chosen] of /** @type {[HTMLSelectElement, string|undefined][]} */ ([[this.a, first], [this.b, second]])) {
      const kept = this.isNew ? chosen : select.value;
      select.replaceChildren(...names.map((name) => h("option", { value: name, selected: name === kept }, name)));
    }
    this.isNew = false;
  }

  /** @param {AnswerSummary[]} answers */
  #showImages(answers) {
    const seen = new Set();
    const images = answers.filter((one) => one.image_url && !seen.has(one.image_id) && seen.add(one.image_id));
    this.chosen = new Set(images.slice(0, PROPOSED).map((one) => one.segmentation_id));
    this.images.replaceChildren(...images.map((one, i) => h("li", {}, this.#image(one, i))));
    this.empty.hidden = images.length > 0;
    this.#update();
  }

  /** @param {AnswerSummary} one @param {number} i */
  #image({ segmentation_id: id }, i) {
    const press = () => {
      if (!this.chosen.delete(id)) this.chosen.add(id);
      element.setAttribute("aria-pressed", String(this.chosen.has(id)));
      this.#update();
    };
    const element = h(
      "button",
      { type: "button", "aria-label": `Recent image ${i + 1}`, "aria-pressed": String(this.chosen.has(id)), on: { click: press } },
      h("img", { src: `${api.imageUrl(id)}?size=128`, alt: "", loading: "lazy", decoding: "async" }),
    );
    return element;
  }

  #update() {
    this.start.disabled = !this.chosen.size || this.chosen.size > MOST;
    this.start.textContent = this.chosen.size > MOST ? `Choose ${MOST} images at most` : `Compare on ${counted(this.chosen.size, "image")}`;
  }

  async #compare() {
    if (this.a.value === this.b.value) {
      this.result.replaceChildren(h("p", { class: "field-fault" }, "Choose two different releases."));
      return;
    }
    this.start.disabled = true;
    this.result.replaceChildren(h("p", {}, `Labelling ${counted(this.chosen.size, "image")} with both releases ...`));
    try {
      this.#show(await api.compareReleases(this.a.value, this.b.value, [...this.chosen]));
    } catch (error) {
      this.result.replaceChildren();
      this.context.showProblem(error);
    } finally {
      this.#update();
    }
  }

  /** @param {Comparison} found */
  #show(found) {
    this.result.replaceChildren(
      h(
        "section",
        { class: "start-card", "aria-label": "Result of the comparison" },
        h("h2", {}, `${percent(found.agreement)} of all pixels get the same label from both`),
        ...onMarks(found),
      ),
      ...found.images.map((one) => comparedImage(one, found.a, found.b, `${api.imageUrl(one.segmentation_id)}?size=1024`)),
    );
  }
}

/** @param {Comparison} found @returns {Node[]} */
function onMarks({ a, b, marked_pixels: count, miou_a: first, miou_b: second }) {
  if (!count || first === null || second === null)
    return [h("p", { class: "fine" }, "None of these images has marks, so it is not known which labels are right.")];
  return [
    h("div", { class: "score-bars" }, bar(a, first, first.toFixed(2)), bar(b, second, second.toFixed(2))),
    h(
      "p",
      { class: "fine" },
      `mIoU on the ${count.toLocaleString("en")} pixels of these images that were marked with a class. A release that learnt from a mark labels it too kindly: to choose a release, prefer the scores on its card, which were measured on images that it had not seen.`,
    ),
  ];
}

/** @param {string} text @param {string} id @param {HTMLElement} input */
const field = (text, id, input) => h("div", { class: "build-field" }, h("label", { htmlFor: id }, text), input);
