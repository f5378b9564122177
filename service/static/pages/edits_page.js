/** The page of edits: what was changed, by whom, and with what effect. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { revertName } from "../lib/edits.js";
import { labelChange, thumbnail } from "../lib/elements.js";
import { capitalized, counted, timeAgo } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { isVisible, nameOf } from "../lib/labels.js";

/** @typedef {import("../lib/types.js").Edit} Edit */
/** @typedef {import("../lib/types.js").EffectSegment} EffectSegment */
/** @typedef {import("../parts/context.js").Context} Context */

const PER_PAGE = 50;
const THUMBNAILS = 12;
const CARDS = 6;
const ICONS = /** @type {const} */ ({
  add: "plus",
  label: "edit",
  mark: "edit",
  remove: "trash",
  class: "stack",
  revert: "undo",
  carry: "down",
});

export class EditsPage {
  /** @param {Context} context */
  constructor(context) {
    this.context = context;
    this.title = "Edits";
    this.list = h("ol", { class: "log" });
    this.heads = h(
      "div",
      { class: "log-heads", "aria-hidden": "true" },
      ...["", "What changed", "By", "When", ""].map((head) => h("span", {}, head)),
    );
    this.empty = h(
      "div",
      { class: "empty", hidden: true },
      icon("log"),
      h("p", {}, "No edits yet."),
      h("p", { class: "fine" }, "Correct a segment or remove an exemplar. The edit is then listed here and can be reverted."),
    );
    this.more = button({ class: "wide", hidden: true, on: { click: () => this.#load(false) } }, "Show older edits");
    this.element = h(
      "section",
      { class: "page", "aria-label": "Edits", hidden: true },
      h(
        "div",
        { class: "content narrow" },
        h("div", { class: "page-head" }, h("h1", {}, "Edits")),
        h("p", { class: "fine" }, "Every change to the exemplars and classes, newest first. Each one of the release that is served can be reverted."),
        this.heads,
        this.list,
        this.empty,
        this.more,
      ),
    );
    /** @type {number|null} number of the oldest edit that is listed */
    this.oldest = null;
    /** @type {string|undefined} the release whose edits can be reverted in the list */
    this.served = undefined;
    this.shown = ""; // what is listed, so that nothing moves or closes while nothing changes
    context.edits.on("edited", () => {
      if (!this.element.hidden) this.#load(true);
    });
    context.releases.on("changed", () => {
      if (!this.element.hidden && this.served !== context.releases.served?.name) this.#load(true);
    });
  }

  show() {
    this.#load(true);
  }

  /** @param {boolean} fromStart false: the next older ones */
  async #load(fromStart) {
    if (fromStart) this.oldest = null;
    try {
      const edits = await api.listEdits(PER_PAGE, this.oldest);
      this.served = this.context.releases.served?.name;
      this.oldest = edits[edits.length - 1]?.revision ?? this.oldest;
      const told = edits.map((edit) => [edit, this.#isServed(edit), timeAgo(edit.created)]);
      const shown = JSON.stringify([this.context.session.mayEdit, told]);
      if (fromStart && shown === this.shown) return;
      this.shown = fromStart ? shown : "";
      const items = edits.map((edit) => this.#item(edit));
      if (fromStart) this.list.replaceChildren(...items);
      else this.list.append(...items);
      this.more.hidden = edits.length < PER_PAGE;
      this.empty.hidden = this.list.children.length > 0;
      this.heads.hidden = !this.empty.hidden;
    } catch (error) {
      this.context.showProblem(error);
    }
  }

  /** Whether an edit is of the release that is served. @param {Edit} edit */
  #isServed(edit) {
    return edit.release === (this.served ?? edit.release);
  }

  /** @param {Edit} edit */
  #item(edit) {
    const reverted = edit.reverted_by !== null;
    const details = h("div", { class: "log-more", hidden: true });
    const summary = h(
      "button",
      {
        type: "button",
        class: "log-summary",
        "aria-expanded": "false",
        on: { click: (event) => this.#toggle(edit, details, event.currentTarget) },
      },
      h("strong", {}, capitalized(edit.summary)),
      icon("down"),
    );
    const name = revertName(edit, "Revert");
    const isServed = this.#isServed(edit);
    return h(
      "li",
      { class: `log-item ${edit.kind}${reverted ? " undone" : ""}`, dataset: { revision: edit.revision } },
      h("span", { class: "log-sign" }, icon(isRelabel(edit) ? "edit" : (ICONS[edit.kind] ?? "edit"))),
      h(
        "div",
        { class: "log-body" },
        summary,
        h(
          "p",
          { class: "fine log-facts" },
          h("span", {}, `Edit ${edit.revision}`),
          edit.scope === "image" ? h("span", { class: "tag" }, "only this image") : null,
          isServed ? null : h("span", { class: "tag", title: "Serve this release to revert its edits." }, `release ${edit.release}`),
          reverted ? h("span", { class: "tag warn" }, `reverted by edit ${edit.reverted_by}`) : null,
          edit.reason ? h("span", {}, `“${edit.reason}”`) : null,
        ),
        details,
      ),
      h("span", { class: "log-by" }, edit.author ?? "a user"),
      h("time", { class: "log-when", dateTime: edit.created, title: new Date(edit.created).toLocaleString() }, timeAgo(edit.created)),
      this.context.session.mayEdit && !reverted && isServed
        ? button(
            { class: "small", on: { click: () => this.context.revert(edit) } },
            icon(name === "Redo" ? "redo" : "undo"),
            name,
          )
        : h("span"),
    );
  }

  /** Show or hide the details of an edit. @param {Edit} edit @param {HTMLElement} details @param {EventTarget|null} toggle */
  async #toggle(edit, details, toggle) {
    details.hidden = !details.hidden;
    if (toggle instanceof HTMLElement) toggle.setAttribute("aria-expanded", String(!details.hidden));
    if (details.hidden || details.childElementCount) return;
    const effect = h("div", {}, h("p", { class: "fine" }, "Checking recent images …"));
    details.replaceChildren(...this.#exemplars(edit), ...segmentLink(edit), effect);
    try {
      const { segments } = await api.getEffect(edit.revision);
      const visible = segments.filter((one) => isVisible(one.before, one.after, one.known || one.after === null));
      effect.replaceChildren(...this.#effect(visible));
    } catch {
      effect.remove();
    }
  }

  /** The exemplars that an edit adds or removes, and those that it replaces. @param {Edit} edit */
  #exemplars(edit) {
    const { kind, exemplar_ids: ids, replaces = [] } = edit;
    if (!ids.length) return [];
    const many = counted(ids.length, "exemplar");
    if (isRelabel(edit)) return [h("p", {}, `${many} with another label:`), this.#thumbnails(ids)];
    const parts = [h("p", {}, kind === "remove" ? `${many} removed:` : `${many} added:`), this.#thumbnails(ids)];
    if (replaces?.length) parts.push(h("p", {}, `${counted(replaces.length, "exemplar")} replaced:`), this.#thumbnails(replaces));
    return parts;
  }

  /** Thumbnails of exemplars: the first ones, and a button for all others. @param {string[]} ids */
  #thumbnails(ids) {
    const item = (/** @type {string} */ id) =>
      h(
        "li",
        {},
        h(
          "button",
          { type: "button", "aria-label": "Show this exemplar", on: { click: () => this.#view(id) } },
          thumbnail(api.cropUrl(id), ""),
        ),
      );
    const list = h("ul", { class: "thumbs" }, ...ids.slice(0, THUMBNAILS).map(item));
    const rest = ids.length - THUMBNAILS;
    if (rest <= 0) return list;
    const all = () => list.replaceChildren(...ids.map(item));
    const more = button({ class: "small", on: { click: all } }, `Show all ${ids.length.toLocaleString("en")}`);
    list.append(h("li", { class: "more-button" }, more));
    return list;
  }

  /** @param {EffectSegment[]} segments of recent images whose labels differ now because of the edit */
  #effect(segments) {
    if (!segments.length) return [h("p", {}, "No segment in recent images would get another label now.")];
    const colorOf = (/** @type {string|null} */ name) => this.context.classes.colorOf(name);
    const cards = segments.slice(0, CARDS).map((one) =>
      h(
        "li",
        { class: "card" },
        h(
          "a",
          {
            class: "card-view",
            href: segmentAddress(one.segment_id),
            "aria-label": `${nameOf(one.before)} became ${nameOf(one.after)}: open it`,
          },
          thumbnail(one.crop_url, ""),
        ),
        h("div", { class: "card-body" }, labelChange(one.before, one.after, colorOf)),
      ),
    );
    return [
      h("p", {}, `${counted(segments.length, "segment")} in recent images would get another label now:`),
      h("ul", { class: "cards" }, ...cards),
    ];
  }

  /** @param {string} exemplarId */
  async #view(exemplarId) {
    try {
      this.context.viewer.open(await api.getExemplar(exemplarId));
    } catch (error) {
      this.context.showProblem(error);
    }
  }
}

/** Whether an edit gives exemplars other classes. @param {Edit} edit */
const isRelabel = (edit) => edit.kind === "add" && /^relabelled /.test(edit.summary);

/** @param {Edit} edit */
const segmentLink = ({ segment_id: id }) =>
  id ? [h("p", {}, h("a", { href: segmentAddress(id) }, "Show the corrected segment"))] : [];

/** The address of a segment on the image page. @param {string} segmentId */
const segmentAddress = (segmentId) => `#/s/${segmentId.replace(/-(\d+)$/, "/$1")}`;
