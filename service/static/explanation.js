/** Why a segment has its label, and what can be done about it. */

import { bar, crop, exemplarCard } from "./card.js";
import { Chooser } from "./chooser.js";
import { h, icon, iconButton, percent, swatch } from "./dom.js";
import { heads, winnerWithout } from "./votes.js";

/** @typedef {import("./types.js").Explanation} Explanation */
/** @typedef {import("./types.js").Exemplar} Exemplar */
/** @typedef {import("./types.js").ClassInfo} ClassInfo */
/**
 * @typedef {object} Actions
 * @property {boolean} mayEdit
 * @property {ClassInfo[]} classes to choose from
 * @property {(name: string) => string} colorOf
 * @property {number} pixels of the picture
 * @property {(choice: import("./chooser.js").Choice, name: string) => void} correct
 * @property {(exemplars: Exemplar[]) => void} remove
 * @property {(exemplar: Exemplar) => void} view
 * @property {(segmentId: string) => void} open
 * @property {(text: string) => void} tell
 */

const FIRST = 9; // cards shown before all are asked for

/**
 * @param {Explanation} told
 * @param {Actions} actions
 * @returns {{element: HTMLElement, chooser: Chooser|null}}
 */
export function explanation(told, actions) {
  const second = told.runner_up?.class_id ?? null;
  const chooser = actions.mayEdit
    ? new Chooser(actions.classes, { current: told.class_id, second, choose: actions.correct })
    : null;
  const element = h(
    "div",
    { class: "explanation" },
    summary(told, actions),
    chooser?.element,
    vote(told, actions),
    flip(told, actions),
    exemplars(told, actions),
    runnerUp(told, actions),
    boundary(told, actions),
    similar(told, actions),
    footer(told, actions),
  );
  return { element, chooser };
}

/** @param {string} title @param {...any} children */
const block = (title, ...children) => h("section", { class: "block" }, h("h3", {}, title), ...children);

/** @param {Explanation} told @param {Actions} actions */
function summary(told, actions) {
  const doubt = told.known
    ? null
    : h(
        "p",
        { class: "notice warn" },
        icon("alert"),
        h("span", {}, "Unlike all exemplars. The label is the nearest guess; a correction teaches what it is."),
      );
  const corrected = (told.corrections ?? []).map((one) =>
    h(
      "p",
      { class: "fine" },
      `Corrected to ${one.class_name} by ${one.author ?? "somebody"} in revision ${one.revision}.`,
    ),
  );
  return h(
    "header",
    { class: "summary" },
    told.crop_url ? crop(told.crop_url, "this segment") : null,
    h(
      "div",
      {},
      h(
        "h2",
        { id: "explained", tabIndex: -1 },
        swatch(actions.colorOf(told.class_name), !told.known),
        h("span", { class: "name" }, told.class_name),
      ),
      h(
        "p",
        { class: "facts" },
        h("span", {}, `${percent(told.confidence)} sure`),
        h("span", {}, `${percent(told.area / actions.pixels)} of the picture`),
        told.known ? null : h("span", { class: "tag warn" }, "unknown"),
      ),
      ...corrected,
    ),
    doubt,
  );
}

/** @param {Explanation} told @param {Actions} actions */
function vote(told, actions) {
  const first = told.vote.classes[0];
  const ahead = told.runner_up
    ? `${percent(told.margin)} ahead of ${told.runner_up.class_name}`
    : "no other class has a say";
  return block(
    "The vote",
    h(
      "p",
      {},
      `The ${told.exemplars.length} nearest exemplars: ${heads(told)}. By weight, ${first.class_name} holds ${percent(first.weight)}, ${ahead}.`,
    ),
    h(
      "div",
      { class: "stacked", "aria-hidden": "true" },
      ...told.vote.classes.map((one) =>
        h("span", { style: { "--v": one.weight, "--c": actions.colorOf(one.class_name) } }),
      ),
    ),
    h(
      "div",
      { class: "bars" },
      ...told.vote.classes
        .slice(0, 6)
        .map((one) => bar(one.class_name, one.weight, percent(one.weight), actions.colorOf(one.class_name))),
    ),
  );
}

/** @param {Explanation} told @param {Actions} actions */
function flip(told, actions) {
  const gone = told.flip_set;
  if (!gone)
    return block(
      "What would flip it",
      h(
        "p",
        {},
        `Nothing near: taking away the ${told.exemplars.length} nearest exemplars one after another would leave it ${told.class_name}.`,
      ),
    );
  const becomes = winnerWithout(told, gone);
  const those = [...told.exemplars, ...told.reserve].filter((one) => gone.includes(one.exemplar_id));
  const many = gone.length > 1 ? `these ${gone.length} exemplars` : "this exemplar";
  const button =
    actions.mayEdit && those.every((one) => !one.removed_in)
      ? h(
          "button",
          { type: "button", class: "button small", on: { click: () => actions.remove(those) } },
          icon("trash"),
          gone.length > 1 ? `Remove these ${gone.length}` : "Remove it",
        )
      : null;
  return block(
    "What would flip it",
    h("p", {}, `Taking away ${many} would make it ${becomes ?? "nothing"}.`),
    h(
      "ul",
      { class: "thumbs" },
      ...those.slice(0, 8).map((one) => thumb(one, actions)),
      those.length > 8 ? h("li", { class: "more" }, `+${those.length - 8}`) : null,
    ),
    button,
  );
}

/** @param {Exemplar} exemplar @param {Actions} actions */
const thumb = (exemplar, actions) =>
  h(
    "li",
    {},
    h(
      "button",
      {
        type: "button",
        "aria-label": `Exemplar of ${exemplar.class_name}`,
        title: exemplar.source,
        on: { click: () => actions.view(exemplar) },
      },
      crop(exemplar.crop_url, ""),
    ),
  );

/** @param {Explanation} told @param {Actions} actions */
function exemplars(told, actions) {
  const heaviest = Math.max(...told.exemplars.map((one) => one.weight ?? 0));
  const card = (/** @type {Exemplar} */ one) =>
    exemplarCard(one, {
      color: actions.colorOf(one.class_name),
      heaviest,
      flips: told.flip_set?.includes(one.exemplar_id),
      view: actions.view,
      remove: actions.mayEdit ? (gone) => actions.remove([gone]) : null,
    });
  const list = h("ul", { class: "cards" }, ...told.exemplars.slice(0, FIRST).map(card));
  const rest = told.exemplars.slice(FIRST);
  const more = rest.length
    ? h(
        "button",
        {
          type: "button",
          class: "button small wide",
          on: {
            click: () => {
              list.append(...rest.map(card));
              more.remove();
            },
          },
        },
        `Show all ${told.exemplars.length}`,
      )
    : null;
  return block("The exemplars that voted, nearest first", list, more);
}

/** @param {Explanation} told @param {Actions} actions */
function runnerUp(told, actions) {
  const second = told.runner_up;
  if (!second) return null;
  const list = second.exemplars ?? [];
  const best = told.exemplars[0]?.similarity ?? 0;
  const nearest = list[0]?.similarity;
  const said =
    nearest === undefined
      ? `It has ${percent(second.weight)} of the vote.`
      : `Its nearest exemplar has similarity ${nearest.toFixed(3)}; the nearest of all has ${best.toFixed(3)}. It has ${percent(second.weight)} of the vote.`;
  return block(
    `Why not ${second.class_name}?`,
    h("p", {}, said),
    h(
      "ul",
      { class: "cards" },
      ...list
        .slice(0, 3)
        .map((one) => exemplarCard(one, { color: actions.colorOf(one.class_name), view: actions.view })),
    ),
  );
}

/** @param {Explanation} told @param {Actions} actions */
function boundary(told, actions) {
  const near = told.boundary;
  if (!near) return null;
  const row = (/** @type {{segment_id: string, class_name: string, share: number}} */ one) =>
    h(
      "button",
      { type: "button", class: "row-button", on: { click: () => actions.open(one.segment_id) } },
      swatch(actions.colorOf(one.class_name)),
      h("span", { class: "name" }, one.class_name),
      h("span", { class: "figure" }, percent(one.share)),
    );
  return block(
    "At the border",
    h(
      "p",
      {},
      `${percent(near.share)} of its pixels lie within ${near.distance_px} px of another segment, where a border may be off.`,
    ),
    ...near.neighbours.slice(0, 4).map(row),
  );
}

/** @param {Explanation} told @param {Actions} actions */
function similar(told, actions) {
  if (!told.similar?.length) return null;
  const card = (/** @type {import("./types.js").Similar} */ one) =>
    h(
      "li",
      { class: "card" },
      h(
        "button",
        {
          type: "button",
          class: "card-view",
          "aria-label": `Similar segment: ${one.class_name}`,
          on: { click: () => actions.open(one.segment_id) },
        },
        crop(one.crop_url, ""),
      ),
      h(
        "div",
        { class: "card-body" },
        h(
          "span",
          { class: "card-name" },
          swatch(actions.colorOf(one.class_name)),
          h("span", { class: "name" }, one.class_name),
        ),
        bar("alike", Math.max(one.similarity, 0), one.similarity.toFixed(3), "var(--ink-3)"),
      ),
    );
  return block(
    "Similar segments of other pictures",
    h("ul", { class: "cards" }, ...told.similar.slice(0, 6).map(card)),
  );
}

/** @param {Explanation} told @param {Actions} actions */
function footer(told, actions) {
  const place = `/explain/${encodeURIComponent(told.segment_id)}`;
  const copy = iconButton("link", "Copy a link to this explanation", {
    on: { click: () => navigator.clipboard?.writeText(location.href).then(() => actions.tell("Link copied")) },
  });
  return h(
    "footer",
    { class: "fine explanation-foot" },
    h(
      "p",
      {},
      `Each weighs exp(${told.vote.kappa} · similarity). Release ${told.release}, revision ${told.index_revision}.`,
    ),
    h(
      "p",
      { class: "foot-links" },
      h("a", { href: place, target: "_blank", rel: "noopener" }, "To print"),
      h("code", {}, told.segment_id),
      copy,
    ),
  );
}
