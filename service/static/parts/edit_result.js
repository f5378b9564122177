/** What an edit changed: in the image that is shown, and in other recent images. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { revertName } from "../lib/edits.js";
import { iconButton, labelChange, thumbnail } from "../lib/elements.js";
import { capitalized, counted } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { isVisible, nameOf } from "../lib/labels.js";

/** @typedef {import("../lib/types.js").LabelChange} LabelChange */
/** @typedef {import("../lib/types.js").Edit} Edit */
/** @typedef {import("../lib/types.js").Effect} Effect */
/** @typedef {import("../lib/types.js").EffectSegment} EffectSegment */
/**
 * @typedef {object} Options
 * @property {(name: string|null) => string} colorOf
 * @property {(segmentId: string) => void} open
 * @property {(() => void)|null} undo null for users who may not edit
 * @property {(before: boolean) => void} compare show the labels before the edit, or those after it
 * @property {() => void} close
 * @property {(segmentationId: string, imageId: string|null) => boolean} isShown whether an answer is of the image that
 *   is shown
 * @property {(text: string) => void} announce
 */

const ROWS = 5;
const CARDS = 6;

/** @param {Edit} edit @param {LabelChange[]} changed segments of the image that is shown @param {Options} options */
export function editResult(edit, changed, options) {
  const name = revertName(edit, "Undo");
  const again = name === "Redo";
  return h(
    "section",
    { class: "outcome", "aria-label": "What the edit changed" },
    h(
      "div",
      { class: "outcome-head" },
      icon("check"),
      h("p", {}, h("strong", {}, capitalized(edit.summary)), h("span", { class: "fine" }, ` Edit ${edit.revision}`)),
      iconButton("close", "Close", { on: { click: options.close } }),
    ),
    thisImage(changed, options),
    options.undo
      ? button({ class: "small", on: { click: options.undo } }, icon(again ? "redo" : "undo"), name)
      : null,
    edit.kind === "revert" ? null : elsewhere(edit, options), // last, because it grows when it is known
  );
}

/** What changed in other recent images. @param {Edit} edit @param {Options} options */
function elsewhere(edit, options) {
  const element = h(
    "div",
    { class: "elsewhere", "aria-live": "polite" },
    h("p", { class: "fine" }, "Checking recent images …"),
  );
  api.getEffect(edit.revision).then(
    (effect) => element.replaceChildren(...otherImages(effect, options)),
    () => element.remove(),
  );
  return element;
}

/** @param {LabelChange[]} changed @param {Options} options */
function thisImage(changed, options) {
  if (!changed.length) return h("p", { class: "fine" }, "No label in this image changed.");
  const more = changed.length - ROWS;
  return h(
    "div",
    {},
    h(
      "div",
      { class: "block-head" },
      h("p", {}, `${counted(changed.length, "segment")} changed in this image`),
      beforeAfter(options),
    ),
    h(
      "ul",
      { class: "changes" },
      ...changed.slice(0, ROWS).map((one) => changedRow(one, options)),
      more > 0 ? h("li", { class: "fine" }, `and ${more} more; all have a dashed outline in the image`) : null,
    ),
  );
}

/** Two buttons that switch between the labels before and after. @param {Options} options */
function beforeAfter(options) {
  const buttons = ["Before", "After"].map((name) =>
    h("button", { type: "button", "aria-pressed": String(name === "After"), on: { click: () => show(name) } }, name),
  );
  const show = (/** @type {string} */ name) => {
    options.compare(name === "Before");
    for (const one of buttons) one.setAttribute("aria-pressed", String(one.textContent === name));
  };
  return h("div", { class: "toggle", role: "group", "aria-label": "Compare labels" }, ...buttons);
}

/** @param {LabelChange} change @param {Options} options */
const changedRow = (change, options) =>
  h(
    "li",
    {},
    h(
      "button",
      { type: "button", class: "row-button", on: { click: () => options.open(change.segment_id) } },
      labelChange(change.before, change.after, options.colorOf),
    ),
  );

/** @param {Effect} effect @param {Options} options */
function otherImages(effect, options) {
  const visible = effect.segments.filter(
    (one) =>
      one.before !== one.after &&
      isVisible(one.before, one.after, one.known || one.after === null) &&
      !options.isShown(segmentationOf(one.segment_id), one.image_id ?? null),
  );
  const segments = ofOneAnswer(visible);
  if (!segments.length) return [h("p", { class: "fine" }, "No other recent image changes.")];
  const images = new Set(segments.map((one) => one.image_id ?? segmentationOf(one.segment_id))).size;
  const text = `${counted(segments.length, "similar segment")} changed in ${counted(images, "other recent image")}`;
  options.announce(text);
  const cards = segments.slice(0, CARDS).map((one) => changedCard(one, options));
  return [h("p", {}, text), h("ul", { class: "cards" }, ...cards)];
}

/** Segments of one answer for each image: several answers would count a segment several times. @param {EffectSegment[]} segments */
function ofOneAnswer(segments) {
  /** @type {Map<string, string>} */
  const answers = new Map();
  return segments.filter((one) => {
    const answer = segmentationOf(one.segment_id);
    const image = one.image_id ?? answer;
    if (!answers.has(image)) answers.set(image, answer);
    return answers.get(image) === answer;
  });
}

/** @param {EffectSegment} one @param {Options} options */
const changedCard = (one, options) =>
  h(
    "li",
    { class: "card" },
    h(
      "button",
      {
        type: "button",
        class: "card-view",
        "aria-label": `${nameOf(one.before)} became ${nameOf(one.after)}: open it`,
        on: { click: () => options.open(one.segment_id) },
      },
      thumbnail(one.crop_url, ""),
    ),
    h("div", { class: "card-body" }, labelChange(one.before, one.after, options.colorOf)),
  );

/** @param {string} segmentId @returns {string} the segmentation that it belongs to */
const segmentationOf = (segmentId) => segmentId.replace(/-\d+$/, "");
