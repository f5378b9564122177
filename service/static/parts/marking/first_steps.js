/** What a newcomer does first: name a class and paint over it. The steps that are done are ticked. */

import { h } from "../../lib/dom.js";

/** @typedef {import("./marks.js").Mark} Mark */

export class FirstSteps {
  /** @param {(name: string) => void} start paint with a class of this name */
  constructor(start) {
    this.name = h("input", {
      type: "text",
      id: "first-class",
      maxLength: 60,
      autocomplete: "off",
      placeholder: "such as cell, road, crack",
    });
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      const name = this.name.value.trim();
      this.name.value = "";
      if (name) start(name);
      else this.name.focus();
    };
    this.label = h("label", { htmlFor: "first-class" });
    this.form = h("form", { on: { submit } }, this.label, this.name, h("button", { class: "button primary" }, "Paint it"));
    this.steps = [
      h("li", {}, "Name one thing that you see."),
      h("li", {}, "Paint a stroke over it in the image. One or two are enough."),
      h("li", {}, "Name what is around it too, and paint a stroke there."),
      h("li", {}, "See the labels in the image, paint where they are wrong, and press Apply."),
    ];
    this.element = h(
      "div",
      { class: "first-steps editing" },
      h("ol", {}, ...this.steps),
      h("p", { class: "fine" }, "Or click a segment in the image, and type the name of its class."),
    );
    this.show(false, []);
  }

  /** @param {boolean} isNamed whether there is a class to paint with @param {Mark[]} marks */
  show(isNamed, marks) {
    const classes = new Set(marks.map((mark) => mark.of.name)).size;
    const asks = this.steps[marks.length ? 2 : 0];
    if (this.form.parentElement !== asks) asks.append(this.form);
    this.label.textContent = marks.length ? "Name of what is around it" : "Name of what you see";
    const done = [isNamed || marks.length > 0, marks.length > 0, classes > 1, false];
    const next = done.indexOf(false);
    this.steps.forEach((step, n) => {
      step.classList.toggle("done", done[n]);
      step.classList.toggle("next", n === next);
    });
  }
}
