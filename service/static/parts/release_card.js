/** The card of a release: what it knows, what it was made of, how good it is, and whose it is. */

import { button, h } from "../lib/dom.js";
import { bar } from "../lib/elements.js";
import { counted, percent } from "../lib/format.js";
import { icon } from "../lib/icons.js";

/** @typedef {import("../lib/types.js").OfferedClass} OfferedClass */
/** @typedef {import("../lib/types.js").ReleaseSummary} ReleaseSummary */
/**
 * What evaluations write into a release's card; each number is in 0..1.
 * @typedef {{miou?: number, pixel_accuracy?: number, per_class?: Record<string, number|null>}} Metrics
 */
/**
 * @typedef {object} CardOptions
 * @property {ReleaseSummary|null} served the release that is served
 * @property {OfferedClass[]} classes of the served release, with edits
 * @property {(name: string) => string} colorOf the colour of a class
 * @property {((name: string) => Promise<void>)|null} serve null: this person may not
 * @property {(() => Promise<void>)|null} carry carries edits of earlier releases over to the served one; null: this person may not
 * @property {Node|null} carrying the progress of that; null: it is not under way
 * @property {Node|null} more what is added to the card
 */

/** @param {ReleaseSummary} release @param {CardOptions} options */
export function releaseCard(release, { served, classes, colorOf, serve, carry, carrying, more }) {
  const { name, active, bundled, stored, problem, metrics, licence } = release;
  return h(
    "article",
    { class: `release${active ? " active" : ""}`, "aria-label": name },
    h(
      "header",
      {},
      h("h2", {}, name),
      active ? h("span", { class: "tag accent" }, "served") : null,
      bundled ? h("span", { class: "tag" }, "bundled") : null,
      stored ? null : h("span", { class: "tag" }, "given by its path"),
      h("span", { class: "gap" }),
      serve && !active && !problem ? serveButton(name, served?.parent === name, serve) : null,
    ),
    problem ? h("p", { class: "notice warn" }, icon("alert"), h("span", {}, problem)) : null,
    h("p", {}, about(release)),
    release.earlier_edits ? earlier(release, active ? carry : null, active ? carrying : null) : null,
    stored ? null : h("p", { class: "fine" }, "It is not in the folder of releases: after a restart it is found again only if its path is given again."),
    h("dl", { class: "facts-grid" }, ...facts(release, active ? classes : null).map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value)))),
    more,
    ...scores(release),
    ...Object.entries(metrics ?? {}).map(([dataset, one]) => measured(dataset, one, colorOf)),
    licences(licence),
  );
}

/** @param {string} name @param {boolean} isParent whether the served release was made of it @param {(name: string) => Promise<void>} serve */
function serveButton(name, isParent, serve) {
  const press = async () => {
    element.disabled = true;
    element.replaceChildren("Loading …");
    await serve(name);
  };
  const text = isParent ? "Go back to this release" : "Serve this release";
  const element = button({ class: "small", title: isParent ? "The served release was made of it" : "", on: { click: press } }, text);
  return element;
}

/**
 * Edits of earlier releases of its name.
 * @param {ReleaseSummary} release
 * @param {(() => Promise<void>)|null} carry
 * @param {Node|null} carrying
 */
function earlier({ name, earlier_edits: count }, carry, carrying) {
  const press = async () => {
    element.disabled = true;
    await carry?.();
  };
  const element = button({ class: "small", on: { click: press } }, "Carry them over");
  const text = `${counted(count, "edit")} made on an earlier ${name} ${count === 1 ? "is" : "are"} kept without effect on this one.`;
  return h("p", { class: "notice" }, icon("alert"), h("span", {}, text), carrying ?? (carry ? element : null));
}

/** What it is in plain words. @param {ReleaseSummary} release */
function about({ classes, description, adapted, edits, parent }) {
  const marked = edits ? ` ${counted(edits, "edit")} made on it since.` : "";
  if (adapted && parent) return `Improved from ${parent} with the marks of its users.${marked}`;
  const untaught = classes === 0 && !edits ? "It knows no class yet; teach it by marking your images. " : "";
  return `${untaught}${description ?? ""}${marked}`;
}

/**
 * What is known of a release. Classes and exemplars of the served one include edits.
 * @param {ReleaseSummary} release
 * @param {OfferedClass[]|null} live
 * @returns {[string, string][]}
 */
function facts({ classes, exemplars, edits, network, created, parent }, live) {
  const known = live ? live.length : classes;
  const examples = live ? live.reduce((sum, one) => sum + one.exemplars, 0) : exemplars;
  const asMade = !live && edits ? " as made" : "";
  const all = /** @type {[string, string|null|undefined][]} */ ([
    [`Classes${asMade}`, known?.toLocaleString("en")],
    [`Exemplars${asMade}`, examples?.toLocaleString("en")],
    ["Made of", parent],
    ["Network", network?.name],
    ["Parameters", network && network.parameters > 1e5 ? `${(network.parameters / 1e6).toFixed(1)} M` : null],
    ["Made", created ? new Date(created).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" }) : null],
  ]);
  return all.flatMap(([term, value]) => (value ? [/** @type {[string, string]} */ ([term, value])] : []));
}

/** Scores before and after an adaptation, and those of a build on held-out images. @param {ReleaseSummary} release */
function scores({ adapted, built, parent, name }) {
  const found = [];
  if (adapted && adapted.before !== null && adapted.after !== null)
    found.push(
      group(
        `Cross-validated mIoU${adapted.images ? ` on ${counted(adapted.images, "image")} with marks` : ""}`,
        [[`${parent ?? "Before"}`, adapted.before], [name, adapted.after]],
      ),
    );
  if (built && built.miou !== null)
    found.push(
      group(`mIoU on ${counted(built.images, "labelled image")} that the build did not see`, [
        ...(built.compared_with && built.miou_compared !== null
          ? [/** @type {[string, number]} */ ([built.compared_with, built.miou_compared])]
          : []),
        [name, built.miou],
      ]),
    );
  return found;
}

/** @param {string} title @param {[string, number][]} bars */
const group = (title, bars) =>
  h(
    "div",
    { class: "release-scores" },
    h("h3", {}, title),
    h("div", { class: "bars" }, ...bars.map(([name, value]) => bar(name, value, value.toFixed(2)))),
  );

/** @param {string} dataset @param {Metrics} metrics @param {(name: string) => string} colorOf */
function measured(dataset, metrics, colorOf) {
  const { miou, pixel_accuracy: accuracy, per_class: perClass } = metrics ?? {};
  if (typeof miou !== "number") return null;
  const bars = Object.entries(perClass ?? {}).flatMap(([name, value]) =>
    typeof value === "number" ? [bar(name, value, value.toFixed(2), colorOf(name))] : [],
  );
  return h(
    "details",
    { class: "metrics" },
    h(
      "summary",
      {},
      h("span", { class: "name" }, dataset),
      h(
        "span",
        { class: "figures" },
        h("span", { title: "mean intersection over union" }, h("strong", {}, miou.toFixed(3)), " mIoU"),
        accuracy ? h("span", {}, h("strong", {}, percent(accuracy)), " of pixels correct") : null,
      ),
    ),
    h("div", { class: "bars" }, ...bars),
  );
}

/**
 * Whose the images and the network are.
 * @param {ReleaseSummary["licence"]} licence
 */
function licences(licence) {
  const { network, ...images } = licence ?? {};
  const all = Object.entries({ ...images, ...network }).filter(([, value]) => value);
  if (!all.length) return null;
  /** @type {Record<string, string>} */
  const names = { exemplars: "Images", added: "Added images", weights: "Network", "training data": "Network trained on" };
  return h(
    "details",
    { class: "licence" },
    h("summary", {}, "Licences"),
    h("dl", {}, ...all.map(([subject, value]) => h("div", {}, h("dt", {}, names[subject] ?? `Network: ${subject}`), h("dd", {}, String(value))))),
  );
}
