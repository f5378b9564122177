/** The entries of an audit as rows: an exemplar with the reason, a group of duplicates, or a thin class. */

import { button, h } from "../../lib/dom.js";
import { labelChange, swatch, thumbnail } from "../../lib/elements.js";
import { sourceName } from "../../lib/format.js";
import { icon } from "../../lib/icons.js";

/** @typedef {import("../../lib/types.js").AuditEntry} AuditEntry */
/** @typedef {import("../../lib/types.js").AuditNeighbour} AuditNeighbour */
/** @typedef {import("../../lib/types.js").ExemplarSummary} ExemplarSummary */
/** @typedef {import("../../lib/types.js").CorrectedSegment} CorrectedSegment */
/**
 * @typedef {object} RowOptions
 * @property {(name: string|null) => string} colorOf
 * @property {(exemplar: ExemplarSummary) => void} view
 * @property {((exemplar: ExemplarSummary) => HTMLElement)|null} box makes its checkbox; null for users who may not edit
 * @property {(exemplar: ExemplarSummary, name: string) => void} accept relabel as suggested
 * @property {(exemplars: ExemplarSummary[]) => void} selectOnly
 */

/** A contradicted exemplar. @param {AuditEntry} entry @param {RowOptions} options */
export function contradictedRow(entry, options) {
  const { exemplar, suggested_class_name: suggested } = entry;
  if (!exemplar || !suggested) return h("li");
  const accept =
    options.box && button({ class: "small", on: { click: () => options.accept(exemplar, suggested) } }, `Relabel to ${suggested}`);
  return h(
    "li",
    { class: "audit-row", dataset: { exemplar: exemplar.exemplar_id } },
    options.box?.(exemplar),
    crop(exemplar, options),
    h(
      "div",
      { class: "audit-body" },
      h(
        "p",
        { class: "audit-title" },
        swatch(options.colorOf(exemplar.class_name)),
        h("strong", {}, exemplar.class_name),
        doubt(entry.score),
      ),
      h("p", {}, entry.reason),
      h("p", { class: "fine source", title: sourceName(exemplar.source) }, factsOf(exemplar)),
      accept,
    ),
    neighbours(`Nearest exemplars of ${suggested}`, entry.neighbours, options),
  );
}

/** A group of near duplicates, each of which can be selected. @param {AuditEntry} entry @param {RowOptions} options */
export function duplicatesRow(entry, options) {
  const { exemplar } = entry;
  if (!exemplar) return h("li");
  const members = [{ exemplar, similarity: 1 }, ...entry.neighbours];
  const others = entry.neighbours.map((one) => one.exemplar);
  const keep = () => options.selectOnly(others);
  return h(
    "li",
    { class: `audit-group${entry.conflict ? " conflict" : ""}` },
    h(
      "div",
      { class: "audit-group-head" },
      entry.conflict ? h("span", { class: "tag warn" }, icon("alert"), "Different labels") : null,
      h("p", {}, entry.reason),
      options.box && !entry.conflict ? button({ class: "small", on: { click: keep } }, "Select all but the first") : null,
    ),
    h("ul", { class: "audit-members" }, ...members.map((one, n) => member(one, n === 0, options))),
  );
}

/** @param {AuditNeighbour} one @param {boolean} isFirst @param {RowOptions} options */
const member = ({ exemplar, similarity }, isFirst, options) =>
  h(
    "li",
    { class: "card", dataset: { exemplar: exemplar.exemplar_id } },
    crop(exemplar, options),
    h(
      "div",
      { class: "card-body" },
      h("span", { class: "card-name" }, swatch(options.colorOf(exemplar.class_name)), h("span", { class: "name" }, exemplar.class_name)),
      h("span", { class: "fine source", title: sourceName(exemplar.source) }, sourceName(exemplar.source)),
      h("span", { class: "fine" }, isFirst ? "compared with this one" : `similarity ${similarity.toFixed(4)}`),
    ),
    options.box?.(exemplar),
  );

/** An exemplar that caused corrections. @param {AuditEntry} entry @param {RowOptions} options */
export function correctionsRow(entry, options) {
  const { exemplar } = entry;
  if (!exemplar) return h("li");
  const segments = entry.corrected.slice(0, 5).map((one) => correctedSegment(one, options));
  return h(
    "li",
    { class: "audit-row", dataset: { exemplar: exemplar.exemplar_id } },
    options.box?.(exemplar),
    crop(exemplar, options),
    h(
      "div",
      { class: "audit-body" },
      h("p", { class: "audit-title" }, swatch(options.colorOf(exemplar.class_name)), h("strong", {}, exemplar.class_name)),
      h("p", {}, entry.reason),
      h("p", { class: "fine source", title: sourceName(exemplar.source) }, factsOf(exemplar)),
    ),
    segments.length
      ? h("div", { class: "audit-near" }, h("p", { class: "audit-near-title" }, "Corrected segments"), h("ul", { class: "audit-crops" }, ...segments))
      : null,
  );
}

/** @param {CorrectedSegment} one @param {RowOptions} options */
const correctedSegment = (one, options) =>
  h(
    "li",
    {},
    h(
      "a",
      {
        href: `#/s/${one.segment_id.replace(/-(\d+)$/, "/$1")}`,
        title: `${one.before} was corrected to ${one.after}`,
        "aria-label": `${one.before} was corrected to ${one.after}: open the image`,
      },
      thumbnail(one.crop_url, ""),
    ),
    labelChange(one.before, one.after, options.colorOf),
  );

/** A thin class as a row of the table. @param {AuditEntry} entry @param {RowOptions} options */
export const thinRow = (entry, options) =>
  h(
    "tr",
    {},
    h(
      "th",
      { scope: "row" },
      h("a", { class: "thin-name", href: `#/exemplars/${entry.class_id}` }, swatch(options.colorOf(entry.class_name)), entry.class_name),
    ),
    h("td", { class: "figure" }, (entry.exemplars ?? 0).toLocaleString("en")),
    h("td", { class: "figure" }, (entry.images ?? 0).toLocaleString("en")),
    h("td", {}, entry.reason),
  );

/** The table of thin classes. @param {HTMLElement[]} rows */
export const thinTable = (rows) =>
  h(
    "div",
    { class: "thin-table" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "Class"),
          h("th", { scope: "col", class: "figure" }, "Exemplars"),
          h("th", { scope: "col", class: "figure" }, "Images"),
          h("th", { scope: "col" }, "What this means"),
        ),
      ),
      h("tbody", {}, ...rows),
    ),
  );

/** @param {string} title @param {AuditNeighbour[]} near @param {RowOptions} options */
const neighbours = (title, near, options) =>
  h(
    "div",
    { class: "audit-near" },
    h("p", { class: "audit-near-title" }, title),
    h(
      "ul",
      { class: "audit-crops" },
      ...near.map(({ exemplar, similarity }) =>
        h("li", {}, crop(exemplar, options), h("span", { class: "fine" }, similarity.toFixed(3))),
      ),
    ),
  );

/** @param {ExemplarSummary} exemplar @param {RowOptions} options */
const crop = (exemplar, options) =>
  h(
    "button",
    {
      type: "button",
      class: "card-view",
      title: sourceName(exemplar.source),
      "aria-label": `Exemplar of ${exemplar.class_name}: show the whole image`,
      on: { click: () => options.view(exemplar) },
    },
    thumbnail(exemplar.crop_url, ""),
  );

/** How doubtful a label is. @param {number} score 0..1 */
function doubt(score) {
  const [text, kind] = score > 0.4 ? ["very doubtful", "danger"] : score > 0.15 ? ["doubtful", "warn"] : ["perhaps odd", ""];
  return h("span", { class: `tag ${kind}`, title: `The other class is ${Math.round(score * 100)} % nearer than its own.` }, text);
}

/** @param {ExemplarSummary} exemplar */
function factsOf({ source, area, strength, added_in: added, author }) {
  const from = added ? `added in edit ${added}${author ? ` by ${author}` : ""}` : "";
  const weight = strength > 1 ? `counts ${Number(strength.toFixed(1))} times` : "";
  return [sourceName(source), `${area.toLocaleString("en")} pixels`, weight, from].filter(Boolean).join(" · ");
}
