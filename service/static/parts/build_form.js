/** What was found in labelled images, and the choices for a build: classes, name, features. */

import { button, h } from "../lib/dom.js";
import { swatch } from "../lib/elements.js";
import { counted, percent } from "../lib/format.js";
import { describe } from "../lib/http.js";
import { releaseName } from "./start_own.js";

/** @typedef {import("../lib/types.js").Survey} Survey */
/** @typedef {import("../lib/types.js").SurveyedClass} SurveyedClass */
/** @typedef {{name: string, classes: Record<string, string|null>, features: string}} BuildChoice */

const LISTED = 8; // skipped files that are shown at once

/**
 * @param {Survey} survey
 * @param {object} options
 * @param {{name: string, adaptable: boolean}[]} options.releases
 * @param {(choice: BuildChoice) => Promise<void>} options.build
 * @param {() => void} options.discard
 */
export function buildForm(survey, { releases, build, discard }) {
  const rows = survey.classes.map((one) => new ClassRow(one));
  const name = h("input", { type: "text", id: "build-name", maxLength: 100, autocomplete: "off", spellcheck: false, value: freeName(survey.proposed_name, releases) });
  const features = featuresSelect(releases);
  const fault = h("p", { class: "field-fault", role: "alert", hidden: true });
  const start = button({ class: "primary", type: "submit" }, "Build the release");
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const chosen = releaseName(name.value);
    fault.hidden = Boolean(chosen);
    if (!chosen) {
      fault.textContent = "Give the new release a name.";
      return name.focus();
    }
    start.disabled = true;
    try {
      await build({ name: chosen, classes: Object.fromEntries(rows.map((row) => row.choice)), features: features.value });
    } catch (error) {
      const { message, advice } = describe(error);
      fault.textContent = `${message} ${advice}`;
      fault.hidden = false;
      start.disabled = false;
    }
  };
  return h(
    "form",
    { class: "start-card build-form", noValidate: true, "aria-label": "What was found", on: { submit } },
    h("h2", {}, `${counted(survey.images, "labelled image")} found`),
    h("p", {}, found(survey)),
    h("h3", {}, "Classes"),
    h("p", { class: "fine" }, "Give two classes one name to merge them. A class that is left out is ignored, as if it were not labelled."),
    h(
      "table",
      { class: "class-table" },
      h("thead", {}, h("tr", {}, ...["Use", "In the labels", "Images", "Area", "Name in the new release"].map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, ...rows.map((row) => row.element)),
    ),
    skippedFiles(survey),
    h("div", { class: "build-fields" }, field("Name of the new release", "build-name", name), field("What describes the images", "build-features", features)),
    h("p", { class: "fine" }, heldOut(survey)),
    fault,
    h("div", { class: "choices" }, start, button({ on: { click: discard } }, "Choose other images")),
  );
}

/** A class with its new name. */
class ClassRow {
  /** @param {SurveyedClass} info */
  constructor(info) {
    this.info = info;
    this.use = h("input", { type: "checkbox", checked: info.proposed !== null, "aria-label": `Use ${info.name}`, on: { change: () => this.#update() } });
    this.name = h("input", { type: "text", value: info.proposed ?? info.name, maxLength: 60, "aria-label": `New name of ${info.name}` });
    this.element = h(
      "tr",
      {},
      h("td", {}, this.use),
      h("td", {}, h("span", { class: "class-cell" }, swatch(info.color), h("span", { class: "name" }, info.name))),
      h("td", { class: "figure" }, info.images.toLocaleString("en")),
      h("td", { class: "figure" }, percent(info.share)),
      h("td", {}, this.name),
    );
    this.#update();
  }

  #update() {
    this.name.disabled = !this.use.checked;
  }

  /** @returns {[string, string|null]} */
  get choice() {
    return [this.info.name, this.use.checked ? this.name.value.trim() || this.info.name : null];
  }
}

/** @param {Survey} survey */
function found({ format, images, counted: read, notes }) {
  const told = [`Format: ${format === "folder" ? "folders of images and masks" : format}.`];
  if (read < images) told.push(`The figures below are of ${counted(read, "image")}; reading all of them would take too long.`);
  return [...told, ...notes].join(" ");
}

/** @param {Survey} survey */
function heldOut({ held_out: count, held_out_rule: rule }) {
  if (!count) return `The new release cannot be measured: ${rule}.`;
  return `To measure the new release on images that it has not seen, ${counted(count, "image")} will be held out: ${rule}.`;
}

/** @param {Survey} survey */
function skippedFiles({ skipped, skipped_files: total }) {
  if (!total) return null;
  const more = total - Math.min(skipped.length, LISTED);
  return h(
    "details",
    { class: "skipped" },
    h("summary", {}, `${counted(total, "file")} will not be used`),
    h("ul", {}, ...skipped.slice(0, LISTED).map(({ name, reason }) => h("li", {}, `${name}: ${reason}`)), more > 0 ? h("li", {}, `${more} more`) : null),
  );
}

/** @param {string} text @param {string} id @param {HTMLElement} input */
const field = (text, id, input) => h("div", { class: "build-field" }, h("label", { htmlFor: id }, text), input);

/** @param {{name: string, adaptable: boolean}[]} releases */
function featuresSelect(releases) {
  const others = releases.filter((one) => one.adaptable && one.name !== "general").map((one) => one.name);
  const options = [["general", "general (any kind of image)"], ["filters", "filters (textures and stains; small and fast)"], ...others.map((name) => [name, `as ${name}`])];
  return h("select", { id: "build-features" }, ...options.map(([value, text]) => h("option", { value }, text)));
}

/** A name that no release has. @param {string} proposed @param {{name: string}[]} releases */
function freeName(proposed, releases) {
  const taken = new Set(releases.map((one) => one.name));
  let name = proposed;
  for (let number = 2; taken.has(name); number++) name = `${proposed}-${number}`;
  return name;
}
