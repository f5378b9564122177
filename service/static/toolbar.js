/** The tools over the picture: opacity, outlines, zoom, undo. */

import { h, icon, iconButton } from "./dom.js";
import { Download } from "./download.js";

/** @typedef {import("./stage.js").Stage} Stage */

/**
 * @typedef {object} Does
 * @property {() => void} pick
 * @property {() => void} undo
 * @property {(segments: number|null) => void} detail how many segments sorting starts with; null: as usual
 * @property {() => import("./types.js").Answer|null} answer what is shown
 */

export class Toolbar {
  /** @param {Stage} stage @param {Does} does */
  constructor(stage, { pick, undo, detail, answer }) {
    this.stage = stage;
    this.opacity = h("input", {
      type: "range",
      min: "0",
      max: "1",
      step: "0.05",
      value: String(stage.look.opacity),
      "aria-label": "Opacity of the labels",
      on: { input: () => this.#look({ opacity: Number(this.opacity.value) }) },
    });
    this.outlines = h(
      "button",
      {
        type: "button",
        class: "tool",
        "aria-pressed": "true",
        title: "Outlines (O)",
        on: { click: () => this.toggleOutlines() },
      },
      icon("outline"),
      h("span", { class: "tool-name" }, "Outlines"),
    );
    this.undo = h(
      "button",
      {
        type: "button",
        class: "tool editing",
        disabled: true,
        title: "Undo the last edit (Ctrl+Z)",
        on: { click: undo },
      },
      icon("undo"),
      h("span", { class: "tool-name" }, "Undo"),
    );
    const steps = [
      ["Coarse", "32"],
      ["As usual", ""],
      ["Fine", "200"],
      ["Finest", "400"],
    ];
    this.detail = h(
      "select",
      {
        class: "small",
        "aria-label": "Detail: how many segments",
        title: "How many segments",
        on: { change: () => detail(Number(this.detail.value) || null) },
      },
      ...steps.map(([name, value]) => h("option", { value, selected: value === "" }, name)),
    );
    this.element = h(
      "div",
      { class: "toolbar", role: "group", "aria-label": "Tools" },
      h(
        "button",
        { type: "button", class: "tool", title: "Another picture", on: { click: pick } },
        icon("upload"),
        h("span", { class: "tool-name" }, "New picture"),
      ),
      new Download(stage, answer).element,
      this.undo,
      h("span", { class: "gap" }),
      h(
        "label",
        { class: "tool slider", title: "Opacity of the labels" },
        h("span", { class: "tool-name" }, "Labels"),
        this.opacity,
      ),
      this.outlines,
      this.detail,
      h(
        "span",
        { class: "tool-group" },
        iconButton("minus", "Zoom out", { title: "Zoom out (−)", on: { click: () => stage.zoom(1 / 1.4) } }),
        iconButton("fit", "Fit", { title: "Fit (0)", on: { click: () => stage.fit() } }),
        iconButton("plus", "Zoom in", { title: "Zoom in (+)", on: { click: () => stage.zoom(1.4) } }),
      ),
    );
  }

  toggleOutlines() {
    const outlines = !this.stage.look.outlines;
    this.outlines.setAttribute("aria-pressed", String(outlines));
    this.#look({ outlines });
  }

  /** @param {Partial<Stage["look"]>} change */
  #look(change) {
    Object.assign(this.stage.look, change);
    this.stage.redraw();
  }
}
