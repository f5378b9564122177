/** The drawing tools beside the image, and the size of the brush. */

import { h } from "../../lib/dom.js";
import { Emitter } from "../../lib/emitter.js";
import { icon } from "../../lib/icons.js";
import { addArrowKeys, showChosen } from "./choices.js";
import { SMALLEST, TOOLS, hasSize } from "./tools.js";

/** @typedef {import("./tools.js").ToolName} ToolName */

const STEPS = 100; // of the slider

/**
 * Emits "choose" with a tool and "size" with a size of the brush in pixels of the image.
 * @extends {Emitter<{choose: ToolName, size: number}>}
 */
export class ToolRail extends Emitter {
  constructor() {
    super();
    this.buttons = TOOLS.map((tool) =>
      h(
        "button",
        {
          type: "button",
          class: "rail-tool",
          role: "radio",
          title: `${tool.title} (${tool.key.toUpperCase()})`,
          "aria-label": tool.title,
          "aria-keyshortcuts": tool.key,
          dataset: { tool: tool.name },
          on: { click: () => this.emit("choose", tool.name) },
        },
        icon(tool.icon),
        h("kbd", { "aria-hidden": "true" }, tool.key.toUpperCase()),
      ),
    );
    const group = h("div", { class: "rail-tools", "aria-label": "Drawing tools" }, ...this.buttons);
    addArrowKeys(group, () => this.buttons);
    this.slider = h("input", { type: "range", min: "0", max: String(STEPS), step: "1", "aria-label": "Size of the brush" });
    this.slider.addEventListener("input", () => this.emit("size", this.#sizeAt(Number(this.slider.value))));
    this.figure = h("span", { class: "rail-figure", "aria-hidden": "true" });
    this.size = h(
      "label",
      { class: "rail-size", title: "Size of the brush: keys [ and ], or Alt and the wheel" },
      this.slider,
      this.figure,
    );
    this.element = h("div", { class: "rail editing" }, group, this.size);
    this.largest = 100;
  }

  /** @param {ToolName} tool */
  showTool(tool) {
    showChosen(
      this.buttons,
      TOOLS.findIndex((one) => one.name === tool),
    );
    this.size.hidden = !hasSize(tool);
  }

  /** @param {number} size @param {number} largest both in pixels of the image */
  showSize(size, largest) {
    this.largest = largest;
    this.slider.value = String(Math.round((Math.log(size / SMALLEST) / Math.log(largest / SMALLEST)) * STEPS));
    this.slider.setAttribute("aria-valuetext", `${size} pixels`);
    this.figure.textContent = `${size} px`;
  }

  /** @param {number} step of the slider; sizes grow by a factor from step to step */
  #sizeAt(step) {
    return Math.max(Math.round(SMALLEST * (this.largest / SMALLEST) ** (step / STEPS)), SMALLEST);
  }
}
