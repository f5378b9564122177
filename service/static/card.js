/** An exemplar as a card: its crop, how alike it is, what it weighs. */

import { h, icon, iconButton, percent, swatch } from "./dom.js";

/** @typedef {import("./types.js").Exemplar} Exemplar */

/** A picture that says so when it cannot be had. @param {string} url @param {string} alt */
export function crop(url, alt) {
  const image = h("img", { src: url, alt, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(h("span", { class: "missing" }, "picture not kept")), {
    once: true,
  });
  image.addEventListener("load", () => image.classList.add("loaded"), { once: true });
  return h("span", { class: "crop" }, image);
}

/**
 * A bar of 0..1 with its figure.
 * @param {string} name
 * @param {number} value
 * @param {string} figure
 * @param {string} [color]
 */
export function bar(name, value, figure, color = "var(--accent)") {
  return h(
    "span",
    { class: "bar" },
    h("span", { class: "bar-name" }, name),
    h("span", { class: "meter", style: { "--v": value, "--c": color } }),
    h("span", { class: "figure" }, figure),
  );
}

/**
 * @typedef {object} CardOptions
 * @property {string} color of its class
 * @property {number} [heaviest] the largest weight of the vote, a full bar
 * @property {boolean} [flips] whether it belongs to the flip set
 * @property {(exemplar: Exemplar) => void} view
 * @property {((exemplar: Exemplar) => void)|null} [remove] null for those who may not
 */

/** @param {Exemplar} exemplar @param {CardOptions} options @returns {HTMLElement} */
export function exemplarCard(exemplar, { color, heaviest, flips = false, view, remove }) {
  const gone = Boolean(exemplar.removed_in);
  const tags = [
    exemplar.strength && exemplar.strength > 1
      ? h(
          "span",
          { class: "tag", title: `counts as ${exemplar.strength} exemplars` },
          `×${Number(exemplar.strength.toFixed(1))}`,
        )
      : null,
    exemplar.added_in
      ? h(
          "span",
          { class: "tag accent", title: `by ${exemplar.author ?? "somebody"}` },
          `added in ${exemplar.added_in}`,
        )
      : null,
    gone ? h("span", { class: "tag danger" }, `removed in ${exemplar.removed_in}`) : null,
    flips && !gone
      ? h("span", { class: "tag warn", title: "one of those whose removal would change the label" }, "flips it")
      : null,
  ];
  return h(
    "li",
    { class: `card${gone ? " gone" : ""}`, dataset: { exemplar: exemplar.exemplar_id } },
    h(
      "button",
      {
        type: "button",
        class: "card-view",
        title: exemplar.source,
        "aria-label": `Exemplar of ${exemplar.class_name}: see the whole picture`,
        on: { click: () => view(exemplar) },
      },
      crop(exemplar.crop_url, ""),
    ),
    h(
      "div",
      { class: "card-body" },
      h("span", { class: "card-name" }, swatch(color), h("span", { class: "name" }, exemplar.class_name)),
      exemplar.similarity === undefined
        ? null
        : bar("alike", Math.max(exemplar.similarity, 0), exemplar.similarity.toFixed(3), "var(--ink-3)"),
      exemplar.weight === undefined
        ? null
        : bar("vote", heaviest ? exemplar.weight / heaviest : exemplar.weight, percent(exemplar.weight), color),
      tags.some(Boolean) ? h("span", { class: "tags" }, ...tags) : null,
    ),
    remove && !gone
      ? iconButton("trash", `Remove this exemplar of ${exemplar.class_name}`, {
          class: "card-remove",
          on: { click: () => remove(exemplar) },
        })
      : null,
  );
}

/**
 * Before and after, in colour.
 * @param {string} before
 * @param {string} after
 * @param {(name: string) => string} colorOf
 */
export const turned = (before, after, colorOf) =>
  h(
    "span",
    { class: "turned" },
    swatch(colorOf(before)),
    h("span", { class: "name" }, before),
    icon("right"),
    swatch(colorOf(after)),
    h("span", { class: "name" }, after),
  );
