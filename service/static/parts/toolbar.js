/** The tools above the image: download, undo, redo, opacity, outlines, detail, zoom. */

import { h } from "../lib/dom.js";
import { iconButton } from "../lib/elements.js";
import { icon } from "../lib/icons.js";
import { DownloadMenu } from "./download_menu.js";

/** @typedef {import("./image_view.js").ImageView} ImageView */
/** @typedef {import("../lib/icons.js").IconName} IconName */
/**
 * @typedef {object} Actions
 * @property {() => void} choose another image
 * @property {() => void} undo
 * @property {() => void} redo
 * @property {(segments: number|null) => void} setDetail segments that sorting starts with; null: the release's number
 * @property {() => import("../lib/types.js").Answer|null} answer that is shown
 * @property {(shown: boolean) => void} showCertainty explain the colours of the map of certainty, or of the labels
 * @property {(error: unknown) => void} showProblem
 */

const DETAIL = [
  ["Low detail", "32"],
  ["Normal detail", ""],
  ["High detail", "200"],
  ["Highest detail", "400"],
];
const ZOOM = 1.4;

export class Toolbar {
  /** @param {ImageView} view @param {Actions} actions */
  constructor(view, actions) {
    this.view = view;
    this.actions = actions;
    this.undo = tool("undo", "Undo", {
      class: "tool editing icon-only",
      disabled: true,
      title: "Undo the last mark or edit (Ctrl+Z)",
      on: { click: actions.undo },
    });
    this.redo = tool("redo", "Redo", {
      class: "tool editing icon-only",
      disabled: true,
      title: "Redo the last mark or edit that was undone (Ctrl+Shift+Z)",
      on: { click: actions.redo },
    });
    this.outlines = tool("outline", "Outlines", {
      "aria-pressed": "true",
      title: "Show or hide the outlines of the segments (O)",
      on: { click: () => this.toggleOutlines() },
    });
    this.certainty = tool("gauge", "Uncertainty", {
      "aria-pressed": "false",
      title: "Show how sure each segment is, or its label (U)",
      on: { click: () => this.toggleCertainty() },
    });
    this.element = h(
      "div",
      { class: "toolbar", role: "group", "aria-label": "Tools" },
      tool("upload", "New image", { title: "Choose another image", on: { click: actions.choose } }),
      new DownloadMenu(view, actions.answer, actions.showProblem).element,
      this.undo,
      this.redo,
      h("span", { class: "gap" }),
      this.#opacity(),
      this.outlines,
      this.certainty,
      detail(actions.setDetail),
      h(
        "span",
        { class: "tool-group" },
        iconButton("minus", "Zoom out", { title: "Zoom out (−)", on: { click: () => view.zoom(1 / ZOOM) } }),
        iconButton("fit", "Fit to the window", {
          title: "Fit to the window (0)",
          on: { click: () => view.fit() },
        }),
        iconButton("plus", "Zoom in", { title: "Zoom in (+)", on: { click: () => view.zoom(ZOOM) } }),
      ),
    );
  }

  toggleOutlines() {
    const outlines = !this.view.look.outlines;
    this.outlines.setAttribute("aria-pressed", String(outlines));
    this.#setLook({ outlines });
  }

  toggleCertainty() {
    const certainty = !this.view.look.certainty;
    this.certainty.setAttribute("aria-pressed", String(certainty));
    this.#setLook({ certainty });
    this.actions.showCertainty(certainty);
  }

  #opacity() {
    const slider = h("input", {
      type: "range",
      min: "0",
      max: "1",
      step: "0.05",
      value: String(this.view.look.opacity),
      "aria-label": "Opacity of the labels",
    });
    slider.addEventListener("input", () => this.#setLook({ opacity: Number(slider.value) }));
    return h(
      "label",
      { class: "tool slider", title: "Opacity of the labels" },
      h("span", { class: "tool-name" }, "Opacity"),
      slider,
    );
  }

  /** @param {Partial<ImageView["look"]>} change */
  #setLook(change) {
    Object.assign(this.view.look, change);
    this.view.redraw();
  }
}

/** @param {IconName} drawing @param {string} name @param {import("../lib/dom.js").Properties} properties */
const tool = (drawing, name, properties) =>
  h(
    "button",
    { type: "button", class: "tool", ...properties, "aria-label": name },
    icon(drawing),
    h("span", { class: "tool-name" }, name),
  );

/** @param {Actions["setDetail"]} setDetail */
function detail(setDetail) {
  const select = h(
    "select",
    { class: "small", "aria-label": "Detail", title: "More detail gives more and smaller segments" },
    ...DETAIL.map(([name, value]) => h("option", { value, selected: value === "" }, name)),
  );
  select.addEventListener("change", () => setDetail(Number(select.value) || null));
  return select;
}
