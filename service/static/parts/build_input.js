/** Choosing labelled images to build from: a ZIP or a folder, which is sent as a ZIP. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { describe, isCancelled } from "../lib/http.js";
import { icon } from "../lib/icons.js";
import { zipped } from "../lib/zip.js";

/** @typedef {import("../lib/types.js").Survey} Survey */
/** @typedef {import("./context.js").Context} Context */

const LEFTOVER = /(^|\/)(\.|__MACOSX|Thumbs\.db|desktop\.ini)/i;

export class BuildInput {
  /** @param {Context} context @param {(survey: Survey) => void} surveyed */
  constructor(context, surveyed) {
    this.context = context;
    this.surveyed = surveyed;
    this.archive = this.#fileInput("ZIP archive of labelled images to build from", { accept: ".zip,application/zip" });
    this.folder = this.#fileInput("Folder of labelled images to build from", { webkitdirectory: true });
    this.buttons = h(
      "div",
      { class: "choices" },
      button({ class: "primary", on: { click: () => this.folder.click() } }, icon("upload"), "Choose a folder"),
      button({ on: { click: () => this.archive.click() } }, icon("upload"), "Choose a ZIP"),
    );
    this.text = h("span", {});
    this.line = h("span", { class: "progress-line" });
    this.sending = h(
      "div",
      { class: "job-progress", hidden: true, role: "status" },
      h("div", { class: "progress-top" }, this.text, button({ class: "small", on: { click: () => this.stop?.abort() } }, "Stop")),
      h("div", { class: "progress-track", "aria-hidden": "true" }, this.line),
    );
    this.fault = h("div", { class: "refusal", role: "alert", hidden: true });
    /** @type {AbortController|null} */
    this.stop = null;
    this.element = h(
      "section",
      { class: "start-card", "aria-label": "Labelled images" },
      h("h2", {}, "Choose labelled images"),
      h(
        "p",
        {},
        "The folder that a labelling tool exported, with its images: COCO, Pascal VOC, YOLO, CVAT, Label Studio, labelme, Supervisely, GeoJSON, or folders of images and masks. You see what was found before anything is built.",
      ),
      this.buttons,
      this.sending,
      this.fault,
      h(
        "p",
        { class: "fine" },
        "This makes a new release that knows these images alone. To add labelled images to the release that is served, use “Import labelled images” on the page ",
        h("a", { href: "#/exemplars" }, "Exemplars"),
        ".",
      ),
      this.archive,
      this.folder,
    );
  }

  /** @param {string} name @param {Record<string, unknown>} properties */
  #fileInput(name, properties) {
    const change = () => {
      const files = [...(input.files ?? [])];
      input.value = "";
      if (files.length) this.#send(files, Boolean(properties.webkitdirectory));
    };
    const input = h("input", { type: "file", hidden: true, "aria-label": name, ...properties, on: { change } });
    return input;
  }

  /** @param {File[]} files @param {boolean} isFolder */
  async #send(files, isFolder) {
    this.stop = new AbortController();
    this.fault.hidden = true;
    this.buttons.hidden = true;
    this.sending.hidden = false;
    try {
      const archive = isFolder ? await this.#archiveOf(files) : files[0];
      const found = await api.surveyLabelled(archive, (share) => this.#tell("Sending", share), this.stop.signal);
      this.surveyed(found);
    } catch (error) {
      if (!isCancelled(error)) this.#refuse(error);
    } finally {
      this.buttons.hidden = false;
      this.sending.hidden = true;
    }
  }

  /** @param {File[]} files */
  #archiveOf(files) {
    const entries = files
      .map((file) => ({ name: file.webkitRelativePath || file.name, file }))
      .filter(({ name }) => !LEFTOVER.test(name));
    if (!entries.length) throw new Error("The folder has no files.");
    return zipped(entries, (share) => this.#tell("Reading the folder", share));
  }

  /** @param {string} what @param {number|null} share null: all is sent */
  #tell(what, share) {
    this.text.textContent = share === null ? "Looking into the labels ..." : `${what}: ${Math.round(100 * share)} %`;
    this.line.style.setProperty("--v", String(share ?? 1));
  }

  /** @param {unknown} error */
  #refuse(error) {
    const { message, advice } = describe(error);
    this.fault.replaceChildren(icon("alert"), h("div", {}, h("strong", {}, message), h("p", {}, advice)));
    this.fault.hidden = false;
  }
}
