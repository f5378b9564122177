/** An exemplar as a card: its image, its similarity and its share of the vote. */

import { h } from "../lib/dom.js";
import { bar, iconButton, swatch, thumbnail } from "../lib/elements.js";
import { percent, sourceName } from "../lib/format.js";

/** @typedef {import("../lib/types.js").ExemplarSummary} ExemplarSummary */
/** @typedef {ExemplarSummary & {similarity?: number, weight?: number}} CardExemplar similarity and weight of a voter */
/**
 * @typedef {object} CardOptions
 * @property {string} color of its class
 * @property {number} [heaviest] the largest weight of the vote, which has a full bar
 * @property {boolean} [flips] whether it belongs to the flip set
 * @property {(exemplar: ExemplarSummary) => void} view
 * @property {((exemplar: ExemplarSummary) => void)|null} [remove] null for users who may not edit
 */

/** @param {CardExemplar} exemplar @param {CardOptions} options */
export function exemplarCard(exemplar, { color, heaviest, flips = false, view, remove }) {
  const removed = Boolean(exemplar.removed_in);
  const { class_name: name, similarity, weight } = exemplar;
  const labels = tags(exemplar, flips);
  return h(
    "li",
    { class: `card${removed ? " gone" : ""}`, dataset: { exemplar: exemplar.exemplar_id } },
    h(
      "button",
      {
        type: "button",
        class: "card-view",
        title: sourceName(exemplar.source),
        "aria-label": `Exemplar of ${name}: show the whole image`,
        on: { click: () => view(exemplar) },
      },
      thumbnail(exemplar.crop_url, ""),
    ),
    h(
      "div",
      { class: "card-body" },
      h("span", { class: "card-name" }, swatch(color), h("span", { class: "name" }, name)),
      similarity === undefined
        ? null
        : bar("similarity", Math.max(similarity, 0), similarity.toFixed(3), "var(--ink-3)"),
      weight === undefined ? null : bar("vote", heaviest ? weight / heaviest : weight, percent(weight), color),
      labels.length ? h("span", { class: "tags" }, ...labels) : null,
    ),
    remove && !removed
      ? iconButton("trash", `Remove this exemplar of ${name}`, {
          class: "card-remove",
          on: { click: () => remove(exemplar) },
        })
      : null,
  );
}

/** @param {ExemplarSummary} exemplar @param {boolean} flips */
function tags(exemplar, flips) {
  const { strength, added_in: added, removed_in: removed, author } = exemplar;
  const tag = (/** @type {string} */ text, /** @type {string} */ kind, /** @type {string} */ title) =>
    h("span", { class: `tag ${kind}`, title }, text);
  const list = [];
  if (strength > 1)
    list.push(tag(`×${Number(strength.toFixed(1))}`, "", `its vote counts ${strength} times as much as another's`));
  if (added) list.push(tag(`added in edit ${added}`, "accent", author ? `by ${author}` : "by a user"));
  if (removed) list.push(tag(`removed in edit ${removed}`, "danger", "it does not vote any more"));
  if (flips && !removed)
    list.push(tag("decisive", "warn", "the label changes if this exemplar and the others marked so are removed"));
  return list;
}
