/** How a build ended: scores on images that it did not see, and the decision to serve it. */

import { button, h } from "../lib/dom.js";
import { bar } from "../lib/elements.js";
import { counted } from "../lib/format.js";
import { icon } from "../lib/icons.js";

/** @typedef {import("../lib/types.js").BuildResult} BuildResult */
/** @typedef {import("../lib/types.js").Job} Job */
/** @typedef {import("./context.js").Context} Context */

/**
 * @param {Context} context
 * @param {Job} job that has ended
 * @param {() => void} done the person has seen it
 */
export function buildResult(context, job, done) {
  const content = job.state === "succeeded" ? succeeded(context, job, done) : failed(job, done);
  return h("section", { class: "start-card build-result", "aria-label": "Result of the build" }, ...content);
}

/** @param {Context} context @param {Job} job @param {() => void} done */
function succeeded(context, job, done) {
  const found = /** @type {BuildResult} */ (job.result);
  const serve = async () => {
    use.disabled = true;
    try {
      await context.releases.accept(job.job_id, found.release);
      context.notify(`${found.release} is served now. You can return to ${job.release} on the page Releases.`);
      done();
    } catch (error) {
      use.disabled = false;
      context.showProblem(error);
    }
  };
  const use = button({ class: "primary", on: { click: serve } }, icon("check"), "Serve it");
  return [
    h("h2", {}, `${found.release} is built`),
    h("p", {}, `It knows ${counted(found.per_class.length, "class", "classes")} by ${counted(found.exemplars, "exemplar")} from ${counted(found.images, "image")}.`),
    ...scores(found),
    ...found.warnings.map((text) => h("p", { class: "notice warn" }, icon("alert"), h("span", {}, `${text.charAt(0).toUpperCase()}${text.slice(1)}.`))),
    h("div", { class: "choices" }, use, button({ on: { click: done } }, "Keep the present one")),
  ];
}

/** @param {BuildResult} found */
function scores({ release, held_out: count, rule, miou, compared_with: other, miou_compared: before, per_class: classes }) {
  if (miou === null) return [h("p", { class: "fine" }, `It was not measured: ${rule}.`)];
  const rows = classes.map(({ name, iou, iou_compared: was }) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "figure" }, figure(iou)), other ? h("td", { class: "figure" }, figure(was)) : null),
  );
  return [
    h(
      "div",
      { class: "score-bars" },
      bar(release, miou, miou.toFixed(2)),
      other && before !== null ? bar(other, before, before.toFixed(2)) : null,
    ),
    h("p", { class: "fine" }, meaning(count, rule, other, before)),
    h(
      "details",
      {},
      h("summary", {}, "By class"),
      h(
        "table",
        { class: "class-table" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Class"), h("th", { scope: "col" }, release), other ? h("th", { scope: "col" }, other) : null)),
        h("tbody", {}, ...rows),
      ),
    ),
  ];
}

/** @param {number} count @param {string} rule @param {string|null} other @param {number|null} before */
function meaning(count, rule, other, before) {
  const measured = `mIoU on ${counted(count, "image")} that the build did not see (${rule}): how well labels and masks overlap, averaged over the classes; 1 is perfect.`;
  if (!other) return measured;
  const compared = before === null ? `${other} has no class of the same name, so it cannot be compared.` : `Classes are matched by name; one that ${other} does not have counts as 0.`;
  return `${measured} ${compared}`;
}

/** @param {number|null} value */
const figure = (value) => (value === null ? "–" : value.toFixed(2));

/** @param {Job} job @param {() => void} done */
function failed(job, done) {
  const interrupted = job.state === "interrupted";
  const text = job.problem ?? "";
  return [
    h("h2", {}, interrupted ? "The service was restarted before the release was built" : "The release could not be built"),
    h("p", {}, interrupted ? "Nothing was changed. Build it again." : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`),
    interrupted ? null : h("p", { class: "fine" }, "Nothing was changed. Correct the labels, leave a class out, or choose other images."),
    h("div", { class: "choices" }, button({ on: { click: done } }, "Close")),
  ];
}
