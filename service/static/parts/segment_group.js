/** A group of similar segments of several images, which can be named together. */

import { button, h } from "../lib/dom.js";
import { thumbnail } from "../lib/elements.js";
import { counted, percent } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { labelOf } from "../lib/labels.js";
import { ClassPicker } from "./class_picker.js";

/** @typedef {import("../lib/types.js").Cluster} Cluster */
/** @typedef {import("../lib/types.js").ClusterSegment} ClusterSegment */
/** @typedef {import("../lib/api.js").ClassChoice} ClassChoice */
/** @typedef {import("./context.js").Context} Context */

const FIRST = 14; // segments shown before the user asks for all

export class SegmentGroup {
  /** @param {Cluster} cluster @param {number} number of the group on the page @param {Context} context */
  constructor(cluster, number, context) {
    this.cluster = cluster;
    this.context = context;
    this.title = `Group ${number}`;
    /** @type {Set<string>} ids of the segments to name */
    this.selected = new Set();
    this.shown = 0; // segments on the page, the first of the group
    this.boxes = cluster.segments.map((one) => this.#box(one));
    this.list = h("ul", { class: "group-segments", "aria-label": `Segments of ${this.title}` });
    this.name = button({ class: "small primary editing", on: { click: () => this.#openPicker() } });
    this.all = button({ class: "small editing", on: { click: () => this.#selectAll() } });
    this.naming = h("div", { class: "group-naming" });
    this.element = h(
      "article",
      { class: "group", "aria-label": this.title },
      h(
        "header",
        { class: "group-head" },
        h("h2", {}, this.title),
        h("p", { class: "fine" }, facts(cluster)),
        h("span", { class: "gap" }),
        this.all,
        this.name,
      ),
      this.naming,
      this.list,
    );
    this.#showSegments(FIRST);
  }

  /** Show segments and select the new ones among them: no segment is named that nobody has seen. @param {number} most */
  #showSegments(most) {
    const { segments } = this.cluster;
    const items = segments.slice(0, most).map((one, n) => this.#item(one, this.boxes[n]));
    segments.slice(this.shown, most).forEach((one) => this.selected.add(one.segment_id));
    this.shown = items.length;
    this.list.replaceChildren(...items);
    this.#update();
    if (segments.length <= most) return;
    const more = button({ class: "small", on: { click: () => this.#showSegments(segments.length) } }, `Show all ${segments.length}`);
    this.list.append(h("li", { class: "group-more" }, more));
  }

  /** @param {ClusterSegment} segment */
  #box(segment) {
    const box = h("input", {
      type: "checkbox",
      class: "group-pick editing",
      checked: true,
      "aria-label": `Segment, ${labelOf(segment)}, ${percent(segment.share)} of its image`,
    });
    box.addEventListener("change", () => {
      if (box.checked) this.selected.add(segment.segment_id);
      else this.selected.delete(segment.segment_id);
      this.#update();
    });
    return box;
  }

  /** @param {ClusterSegment} segment @param {HTMLInputElement} box */
  #item(segment, box) {
    const [id, index] = [segment.segmentation_id, segment.segment_id.slice(segment.segmentation_id.length + 1)];
    return h(
      "li",
      { class: "group-segment" },
      h("label", {}, thumbnail(segment.crop_url, ""), box),
      h(
        "a",
        { class: "icon-button group-open", href: `#/s/${id}/${index}`, title: "Show it in its image", "aria-label": "Show it in its image" },
        icon("image"),
      ),
    );
  }

  #selectAll() {
    const select = this.selected.size < this.shown;
    this.cluster.segments.slice(0, this.shown).forEach((one, n) => {
      this.boxes[n].checked = select;
      if (select) this.selected.add(one.segment_id);
      else this.selected.delete(one.segment_id);
    });
    this.#update();
  }

  /** Show how many segments are selected. */
  #update() {
    const { size } = this.selected;
    const every = size === this.shown;
    this.name.replaceChildren(icon("edit"), every ? `Name these ${size}` : `Name ${size} selected`);
    this.name.disabled = !size;
    this.all.textContent = every ? "Select none" : "Select all";
    if (!size) this.#closePicker();
  }

  #openPicker() {
    if (this.picker) return this.#closePicker();
    const { classes } = this.context;
    const current = this.cluster.nearest?.class_id ?? null;
    this.picker = new ClassPicker(classes.list, {
      current: null,
      runnerUp: current,
      hint: "Name what the selected segments show. Segments that look like them get the class too.",
      choose: (choice) => this.#label(choice),
    });
    this.naming.replaceChildren(this.picker.element);
    this.naming.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.#closePicker();
      this.name.focus();
      event.stopPropagation();
    });
    this.picker.focus();
  }

  #closePicker() {
    this.picker = undefined;
    this.naming.replaceChildren();
  }

  /** @param {ClassChoice} choice */
  async #label(choice) {
    this.picker?.setBusy(true);
    try {
      await this.context.edits.labelSegments([...this.selected].map((id) => ({ segment_id: id, ...choice })));
    } catch (error) {
      this.picker?.setBusy(false);
      this.context.showProblem(error);
    }
  }
}

/** What a person wants to know of a group. @param {Cluster} cluster */
function facts({ size, images, area, spread, nearest, segments }) {
  const listed = segments.length < size ? `, of which the ${segments.length} largest are listed` : "";
  const mean = percent(area / images);
  const like = nearest ? `; nearest class: ${nearest.class_name} (similarity ${nearest.similarity.toFixed(2)})` : "";
  return (
    `${counted(size, "segment")} in ${counted(images, "image")}${listed}, ${mean} of an image on average; ` +
    `similarity within the group ${spread.toFixed(2)}${like}`
  );
}
