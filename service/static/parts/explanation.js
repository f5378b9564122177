/** Why a segment has its label, and what would change it. */

import { explanationUrl } from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { bar, iconButton, swatch, thumbnail } from "../lib/elements.js";
import { counted, percent, sourceName } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { labelOf, nameOf, shownLabel, sureness } from "../lib/labels.js";
import { votersByClass, winnerWithout } from "../lib/vote.js";
import { ClassPicker } from "./class_picker.js";
import { exemplarCard } from "./exemplar_card.js";

/** @typedef {import("../lib/types.js").Explanation} Explanation */
/** @typedef {import("../lib/types.js").ExemplarSummary} ExemplarSummary */
/** @typedef {import("../lib/types.js").SimilarSegment} SimilarSegment */
/** @typedef {import("../lib/dom.js").Child} Child */
/**
 * @typedef {object} Actions
 * @property {boolean} mayEdit
 * @property {import("../lib/types.js").ClassInfo[]} classes to choose from
 * @property {(name: string|null) => string} colorOf
 * @property {number} pixels of the image
 * @property {(choice: import("../lib/api.js").ClassChoice, name: string) => void} correct
 * @property {() => HTMLElement} options of a correction, shown below the classes
 * @property {(exemplars: ExemplarSummary[]) => void} remove
 * @property {(exemplar: ExemplarSummary) => void} view
 * @property {(segmentId: string) => void} open
 * @property {(text: string) => void} notify
 */

const CARDS = 9; // shown before the user asks for all
const THUMBNAILS = 8;
const BARS = 6;

/**
 * The content of the explanation panel.
 * @param {Explanation} explanation
 * @param {Actions} actions
 * @returns {{element: HTMLElement, picker: ClassPicker|null}} picker: null for users who may not edit
 */
export function explanationContent(explanation, actions) {
  const { class_id: current, runner_up: second } = explanation;
  const picker = actions.mayEdit
    ? new ClassPicker(actions.classes, { current, runnerUp: second?.class_id ?? null, choose: actions.correct, footer: actions.options() })
    : null;
  const element = h(
    "div",
    { class: "explanation" },
    summary(explanation, actions),
    picker?.element,
    ...(explanation.exemplars.length ? reasons(explanation, actions) : []),
    boundary(explanation, actions),
    similar(explanation, actions),
    footer(explanation, actions),
  );
  return { element, picker };
}

/** What follows from the exemplars that voted. @param {Explanation} explanation @param {Actions} actions */
const reasons = (explanation, actions) => [
  vote(explanation, actions),
  flipSet(explanation, actions),
  voters(explanation, actions),
  runnerUp(explanation, actions),
];

/** @param {string} title @param {...Child} children */
const block = (title, ...children) => h("section", { class: "block" }, h("h3", {}, title), ...children);

/** @param {Explanation} explanation @param {Actions} actions */
function summary(explanation, actions) {
  const { class_name: name, known, area, crop_url: crop, corrections } = explanation;
  const sure = sureness(explanation);
  return h(
    "header",
    { class: "summary" },
    thumbnail(crop, "this segment"),
    h(
      "div",
      {},
      h(
        "h2",
        { id: "explained", tabIndex: -1 },
        swatch(actions.colorOf(name), !known),
        h("span", { class: "name" }, ...title(explanation)),
      ),
      h(
        "p",
        { class: "facts" },
        sure ? h("span", {}, sure) : null,
        h("span", {}, `${percent(area / actions.pixels)} of the image`),
      ),
      ...corrections.map((one) =>
        h("p", { class: "fine" }, `Corrected to ${one.class_name} by ${one.author ?? "a user"} in edit ${one.revision}.`),
      ),
    ),
    known ? null : unknownNotice(explanation, actions),
  );
}

/** The label of the segment; of an unknown one only what it resembles. @param {Explanation} explanation @returns {Child[]} */
function title({ class_name: name, known }) {
  if (name === null) return ["Unknown"];
  const label = h("span", { class: "class-name" }, name);
  return known ? [label] : ["Unknown", h("span", { class: "resembles" }, "nearest: ", label)];
}

/** @param {Explanation} explanation @param {Actions} actions */
const unknownNotice = ({ class_name: name }, actions) =>
  h(
    "p",
    { class: "notice warn" },
    icon("alert"),
    h(
      "span",
      {},
      name === null
        ? "Nothing has been taught yet, so this segment has no class."
        : "This segment or its image differs too much from the exemplars. The nearest class is only a resemblance.",
      !actions.mayEdit ? "" : name === null ? " Name its class below to teach it." : " Choose its class below to teach it.",
    ),
  );

/** @param {Explanation} explanation @param {Actions} actions */
function vote(explanation, actions) {
  const { classes } = explanation.vote;
  const [first, second] = classes;
  const rest = second ? `and ${second.class_name} ${percent(second.weight)}` : "and no other class has any";
  const { length: count } = explanation.exemplars;
  const voters =
    count === 1
      ? "One exemplar votes. "
      : `The ${count} most similar exemplars vote: ${votersByClass(explanation)}. More similar ones count more. `;
  const text =
    `${voters}${first.class_name} has ${percent(first.weight)} of the vote, ${rest}.`;
  return block(
    "The vote",
    h("p", {}, text),
    h(
      "div",
      { class: "stacked", "aria-hidden": "true" },
      ...classes.map((one) => h("span", { style: { "--v": one.weight, "--c": actions.colorOf(one.class_name) } })),
    ),
    h(
      "div",
      { class: "bars" },
      ...classes
        .slice(0, BARS)
        .map((one) => bar(one.class_name, one.weight, percent(one.weight), actions.colorOf(one.class_name))),
    ),
  );
}

/** @param {Explanation} explanation @param {Actions} actions */
function flipSet(explanation, actions) {
  const { flip_set: ids, class_name: name, known } = explanation;
  const label = known ? "label" : "nearest class";
  const title = `What would change the ${label}`;
  if (!ids && !explanation.reserve.length) {
    const count = counted(explanation.exemplars.length, "exemplar");
    const text = `This is not known yet: the release has only ${count}, and no other could vote in place of a removed one.`;
    return block(title, h("p", {}, text));
  }
  if (!ids) {
    const text = `The ${label} is stable: it stays ${name} even if the ${explanation.exemplars.length} most similar exemplars are removed.`;
    return block(title, h("p", {}, text));
  }
  const one = ids.length === 1;
  const winner = winnerWithout(explanation, ids);
  const members = [...explanation.exemplars, ...explanation.reserve].filter((each) => ids.includes(each.exemplar_id));
  const removed = one ? "this exemplar were" : `these ${ids.length} exemplars were`;
  const removable = actions.mayEdit && members.every((each) => !each.removed_in);
  const rest = members.length - THUMBNAILS;
  return block(
    title,
    h("p", {}, winner ? `It would be ${winner} if ${removed} removed.` : `No exemplar would be left if ${removed} removed.`),
    h(
      "ul",
      { class: "thumbs" },
      ...members.slice(0, THUMBNAILS).map((each) => exemplarThumbnail(each, actions)),
      rest > 0 ? h("li", { class: "more" }, `+${rest}`) : null,
    ),
    removable
      ? button(
          { class: "small", on: { click: () => actions.remove(members) } },
          icon("trash"),
          one ? "Remove it" : `Remove these ${ids.length}`,
        )
      : null,
  );
}

/** @param {ExemplarSummary} exemplar @param {Actions} actions */
const exemplarThumbnail = (exemplar, actions) =>
  h(
    "li",
    {},
    h(
      "button",
      {
        type: "button",
        "aria-label": `Exemplar of ${exemplar.class_name}: show the whole image`,
        title: sourceName(exemplar.source),
        on: { click: () => actions.view(exemplar) },
      },
      thumbnail(exemplar.crop_url, ""),
    ),
  );

/** @param {Explanation} explanation @param {Actions} actions */
function voters(explanation, actions) {
  const { exemplars } = explanation;
  const heaviest = Math.max(...exemplars.map((one) => one.weight));
  const card = (/** @type {import("../lib/types.js").Voter} */ one) =>
    exemplarCard(one, {
      color: actions.colorOf(one.class_name),
      heaviest,
      flips: explanation.flip_set?.includes(one.exemplar_id),
      view: actions.view,
      remove: actions.mayEdit ? (removed) => actions.remove([removed]) : null,
    });
  const list = h("ul", { class: "cards" }, ...exemplars.slice(0, CARDS).map(card));
  if (exemplars.length <= CARDS) return block("Exemplars that voted, most similar first", list);
  const showAll = () => {
    list.append(...exemplars.slice(CARDS).map(card));
    more.remove();
  };
  const more = button({ class: "small wide", on: { click: showAll } }, `Show all ${exemplars.length}`);
  return block("Exemplars that voted, most similar first", list, more);
}

/** @param {Explanation} explanation @param {Actions} actions */
function runnerUp(explanation, actions) {
  const second = explanation.runner_up;
  if (!second) return null;
  const exemplars = second.exemplars;
  const best = explanation.exemplars[0]?.similarity ?? 0;
  const nearest = exemplars[0]?.similarity;
  const share = `${second.class_name} has ${percent(second.weight)} of the vote.`;
  const compared =
    nearest === undefined
      ? ""
      : ` Its most similar exemplar has a similarity of ${nearest.toFixed(3)}; the best of all exemplars has ${best.toFixed(3)}.`;
  return block(
    `Why not ${second.class_name}?`,
    h("p", {}, share + compared),
    h(
      "ul",
      { class: "cards" },
      ...exemplars
        .slice(0, 3)
        .map((one) => exemplarCard(one, { color: actions.colorOf(one.class_name), view: actions.view })),
    ),
  );
}

/** @param {Explanation} explanation @param {Actions} actions */
function boundary(explanation, actions) {
  const border = explanation.boundary;
  return block(
    "Neighbours",
    h(
      "p",
      {},
      `${percent(border.share)} of this segment is within ${border.distance_px} pixels of another segment. ` +
        "Borders can be wrong by a few pixels.",
    ),
    ...border.neighbours
      .slice(0, 4)
      .map((one) =>
        h(
          "button",
          { type: "button", class: "row-button", on: { click: () => actions.open(one.segment_id) } },
          swatch(actions.colorOf(one.class_name), !one.known),
          h("span", { class: "name" }, labelOf(one)),
          h("span", { class: "figure", title: "share of this segment that is near it" }, percent(one.share)),
        ),
      ),
  );
}

/** @param {Explanation} explanation @param {Actions} actions */
function similar(explanation, actions) {
  if (!explanation.similar.length) return null;
  return block(
    "Similar segments in other images",
    h("ul", { class: "cards" }, ...explanation.similar.slice(0, 6).map((one) => similarCard(one, actions))),
  );
}

/** @param {SimilarSegment} one @param {Actions} actions */
const similarCard = (one, actions) =>
  h(
    "li",
    { class: "card" },
    h(
      "button",
      {
        type: "button",
        class: "card-view",
        "aria-label": `Similar segment, ${one.known ? "labelled " : ""}${labelOf(one)}: open it`,
        on: { click: () => actions.open(one.segment_id) },
      },
      thumbnail(one.crop_url, ""),
    ),
    h(
      "div",
      { class: "card-body" },
      h(
        "span",
        { class: "card-name" },
        swatch(actions.colorOf(one.class_name), !one.known),
        h("span", { class: "name" }, nameOf(shownLabel(one))),
      ),
      bar("similarity", Math.max(one.similarity, 0), one.similarity.toFixed(3), "var(--ink-3)"),
    ),
  );

/** @param {Explanation} explanation @param {Actions} actions */
function footer(explanation, actions) {
  const copy = () => navigator.clipboard?.writeText(location.href).then(() => actions.notify("Link copied"));
  return h(
    "footer",
    { class: "fine explanation-foot" },
    h(
      "p",
      {},
      explanation.exemplars.length
        ? `An exemplar's vote has the weight exp(${explanation.vote.kappa} × similarity). Release ${explanation.release}.`
        : `Release ${explanation.release}.`,
    ),
    h(
      "p",
      { class: "foot-links" },
      h(
        "a",
        { href: explanationUrl(explanation.segment_id), target: "_blank", rel: "noopener" },
        "Printable explanation",
      ),
      h("span", { class: "gap" }),
      iconButton("link", "Copy a link to this explanation", { on: { click: copy } }),
    ),
  );
}
