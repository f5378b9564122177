/** The key of the map of certainty: what its colours mean, and how much of the image has each. */

import { certaintyColor, certaintyGradient, certaintyShares, isCalibrated, TICKS } from "../lib/certainty.js";
import { h } from "../lib/dom.js";
import { swatch } from "../lib/elements.js";
import { capitalized, percent } from "../lib/format.js";

/** @typedef {import("../lib/types.js").Answer} Answer */

export class CertaintyKey {
  constructor() {
    this.element = h("section", { class: "block certainty-key", "aria-labelledby": "certainty-title", hidden: true });
  }

  /** @param {Answer} answer */
  show(answer) {
    const calibrated = isCalibrated(answer.segments);
    const { ranges, unknown } = certaintyShares(answer.segments, answer.width * answer.height);
    const measure = calibrated ? "confidence" : "share of the vote";
    const text = calibrated
      ? "Colours show the confidence: how likely a label is right."
      : "Colours show the share of the vote that each label has. The release is not calibrated, so there is no confidence yet.";
    this.element.replaceChildren(
      h("h2", { id: "certainty-title" }, "How sure each segment is"),
      h("p", { class: "fine" }, text),
      scale(),
      h(
        "table",
        { class: "certainty-table" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, capitalized(measure)), h("th", { scope: "col" }, "Area"))),
        h(
          "tbody",
          {},
          ...ranges.map((share, n) => row(swatch(certaintyColor(middle(n))), rangeName(n), share)),
          row(swatch("", true), "unknown: unlike every exemplar", unknown),
        ),
      ),
    );
  }
}

/** The colours from sure to unsure, with numbers. */
const scale = () =>
  h(
    "div",
    { class: "certainty-scale", "aria-hidden": "true" },
    h("span", { class: "certainty-ramp", style: { background: certaintyGradient } }),
    h("span", { class: "certainty-ticks" }, ...TICKS.map((tick) => h("span", {}, percent(tick)))),
  );

/** @param {Node} sign @param {string} name @param {number} share of the image, 0..1 */
const row = (sign, name, share) =>
  h(
    "tr",
    {},
    h("th", { scope: "row" }, h("span", { class: "certainty-name" }, sign, name)),
    h("td", { class: "figure" }, percent(share)),
  );

/** @param {number} n number of a range */
const rangeName = (n) => (n < TICKS.length - 1 ? `${percent(TICKS[n + 1])} to ${percent(TICKS[n])}` : `below ${percent(TICKS[n])}`);

/** @param {number} n number of a range @returns {number} a certainty in its middle */
const middle = (n) => (TICKS[n] + (TICKS[n + 1] ?? 0)) / 2;
