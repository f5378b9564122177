/** What an edit changed: here, and in other recent pictures. */

import { get } from "./api.js";
import { crop, turned } from "./card.js";
import { counted, h, icon, iconButton } from "./dom.js";

/** @typedef {import("./types.js").Edit} Edit */
/** @typedef {import("./types.js").Change} Change */
/** @typedef {import("./types.js").Effect} Effect */

/**
 * @typedef {object} Options
 * @property {(name: string) => string} colorOf
 * @property {(segmentId: string) => void} open
 * @property {(() => void)|null} undo null for those who may not edit
 * @property {(before: boolean) => void} compare show the labels before, or the present ones
 * @property {() => void} close
 * @property {(segmentationId: string, imageId: string|null) => boolean} isHere whether an answer is of the picture that
 *   is shown, which needs no mention again
 * @property {(text: string) => void} say
 */

/**
 * @param {Edit} edit
 * @param {Change[]} changed segments of the picture that is shown
 * @param {Options} options
 * @returns {HTMLElement}
 */
export function outcome(edit, changed, options) {
  const elsewhere = h(
    "div",
    { class: "elsewhere", "aria-live": "polite" },
    h("p", { class: "fine" }, "Looking through recent pictures …"),
  );
  const card = h(
    "section",
    { class: "outcome", "aria-label": "What the edit changed" },
    h(
      "div",
      { class: "outcome-head" },
      icon("check"),
      h("p", {}, h("strong", {}, capital(edit.summary)), h("span", { class: "fine" }, ` Revision ${edit.revision}`)),
      iconButton("close", "Close", { on: { click: options.close } }),
    ),
    here(changed, options),
    elsewhere,
    options.undo
      ? h(
          "button",
          { type: "button", class: "button small", on: { click: options.undo } },
          icon("undo"),
          edit.kind === "revert" ? "Redo" : "Undo",
        )
      : null,
  );
  const source = edit.kind === "revert" && edit.reverts ? edit.reverts : edit.revision;
  get(`/edits/${source}/effect?recent=50`).then(
    (/** @type {Effect} */ effect) => elsewhere.replaceChildren(...others(effect, edit, options)),
    () => elsewhere.remove(),
  );
  return card;
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {Change[]} changed @param {Options} options */
function here(changed, options) {
  if (!changed.length) return h("p", { class: "fine" }, "No label of this picture changed.");
  const compare = h("div", { class: "toggle", role: "group", "aria-label": "Compare labels" });
  const pick = (/** @type {boolean} */ before) => {
    options.compare(before);
    [...compare.children].forEach((button, n) => button.setAttribute("aria-pressed", String((n === 0) === before)));
  };
  compare.append(
    h("button", { type: "button", "aria-pressed": "false", on: { click: () => pick(true) } }, "Before"),
    h("button", { type: "button", "aria-pressed": "true", on: { click: () => pick(false) } }, "After"),
  );
  const rows = changed
    .slice(0, 5)
    .map((one) =>
      h(
        "li",
        {},
        h(
          "button",
          { type: "button", class: "row-button", on: { click: () => options.open(one.segment_id) } },
          turned(one.before, one.after, options.colorOf),
        ),
      ),
    );
  return h(
    "div",
    {},
    h(
      "div",
      { class: "block-head" },
      h("p", {}, `${counted(changed.length, "segment")} of this picture changed`),
      compare,
    ),
    h(
      "ul",
      { class: "changes" },
      ...rows,
      changed.length > 5 ? h("li", { class: "fine" }, `and ${changed.length - 5} more, dashed in the picture`) : null,
    ),
  );
}

/** @param {Effect} effect @param {Edit} edit @param {Options} options */
function others(effect, edit, options) {
  const segments = effect.segments.filter(
    (one) => one.before !== one.after && !options.isHere(answerOf(one.segment_id), one.image_id ?? null),
  );
  if (edit.kind === "revert") return [];
  if (!segments.length)
    return [h("p", { class: "fine" }, `No segment of the last ${counted(effect.answers, "answer")} changes with it.`)];
  const pictures = new Set(segments.map((one) => one.image_id ?? answerOf(one.segment_id))).size;
  const said = `${counted(segments.length, "similar segment")} of ${counted(pictures, "other recent picture")} changed with it`;
  options.say(said);
  const cards = segments.slice(0, 6).map((one) =>
    h(
      "li",
      { class: "card" },
      h(
        "button",
        {
          type: "button",
          class: "card-view",
          "aria-label": `${one.before} became ${one.after}: open it`,
          on: { click: () => options.open(one.segment_id) },
        },
        crop(one.crop_url, ""),
      ),
      h("div", { class: "card-body" }, turned(one.before, one.after, options.colorOf)),
    ),
  );
  return [h("p", {}, said), h("ul", { class: "cards" }, ...cards)];
}

/** @param {string} segmentId @returns {string} the segmentation it belongs to */
const answerOf = (segmentId) => segmentId.replace(/-\d+$/, "");
