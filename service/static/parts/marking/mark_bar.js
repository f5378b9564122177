/** The bar below the image: what the tool does, the draft and its effect, and the buttons that apply it. */

import { button, h } from "../../lib/dom.js";
import { Emitter } from "../../lib/emitter.js";
import { swatch } from "../../lib/elements.js";
import { counted } from "../../lib/format.js";
import { icon } from "../../lib/icons.js";

/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("./marks.js").Scope} Scope */
/**
 * @typedef {object} Shown
 * @property {Mark[]} marks
 * @property {boolean} isBusy whether marks are being applied
 * @property {Scope} scope
 * @property {boolean} immediate whether each mark is applied at once
 * @property {string} status one line about what the tool does, or what is selected
 * @property {string} effect one line about what the marks would change; "" while it is not known
 * @property {boolean} isPending whether the effect is being computed
 * @property {Node|null} details of the effect
 * @property {boolean} several whether a click adds to the selection; shown with the tool Select
 * @property {boolean} isSelect whether the tool is Select
 * @property {number} selected number of selected segments or pieces
 */

const SCOPES = /** @type {[Scope, string, string][]} */ ([
  ["all", "All images", "Marks count for this image and for all others"],
  ["image", "This image only", "Marks count for this image alone; no other image changes"],
]);

/**
 * Emits "apply" and "discard"; "scope"; "immediate"; "several"; "clear" the selection.
 * @extends {Emitter<{apply: null, discard: null, scope: Scope, immediate: boolean, several: boolean, clear: null}>}
 */
export class MarkBar extends Emitter {
  constructor() {
    super();
    this.status = h("p", { class: "mark-status", role: "status" });
    this.toggle = button({ class: "small mark-effect", "aria-expanded": "false", on: { click: () => this.#expand() } });
    this.effect = h("p", { class: "mark-effect-text", role: "status" });
    this.details = h("div", { class: "mark-details", hidden: true });
    this.several = button(
      { class: "small", "aria-pressed": "false", on: { click: () => this.emit("several", this.several.ariaPressed !== "true") } },
      icon("several"),
      "Select several",
    );
    this.clear = button({ class: "small", on: { click: () => this.emit("clear", null) } }, "Clear selection");
    this.choices = h("div", { class: "mark-choices" });
    this.scope = scopeSwitch((scope) => this.emit("scope", scope));
    this.immediate = h("input", { type: "checkbox" });
    this.immediate.addEventListener("change", () => this.emit("immediate", this.immediate.checked));
    this.discard = button({ class: "small", on: { click: () => this.emit("discard", null) } }, "Discard");
    this.apply = button({ class: "primary small", title: "Apply the marks (Ctrl+Enter)", on: { click: () => this.emit("apply", null) } });
    this.element = h(
      "section",
      { class: "mark-bar editing", "aria-label": "Marks" },
      this.details,
      h("div", { class: "mark-words" }, this.status, this.effect, this.toggle),
      h(
        "div",
        { class: "mark-actions" },
        this.several,
        this.clear,
        this.choices,
      ),
    );
    this.choices.append(
      this.scope.element,
      h("label", { class: "check mark-immediate", title: "Apply each mark at once, without a draft" }, this.immediate, "Apply at once"),
      this.discard,
      this.apply,
    );
    addEventListener("keydown", (event) => this.#close(event));
  }

  /** @param {Shown} shown */
  show(shown) {
    const { marks, isBusy, effect, details, isPending } = shown;
    this.element.classList.toggle("drafting", marks.length > 0 || shown.selected > 0);
    this.status.replaceChildren(...(marks.length && !shown.selected ? draftText(marks) : [shown.status]));
    this.toggle.hidden = !details;
    this.toggle.replaceChildren(effect, icon("down"));
    this.effect.hidden = Boolean(details) || !effect;
    this.effect.textContent = effect;
    this.element.setAttribute("aria-busy", String(isPending || isBusy));
    this.details.replaceChildren(...(details ? [details] : []));
    if (!details) this.#setExpanded(false);
    this.several.hidden = !shown.isSelect || (marks.length > 0 && !shown.selected);
    this.choices.hidden = shown.isSelect && !marks.length;
    this.several.setAttribute("aria-pressed", String(shown.several));
    this.clear.hidden = shown.selected === 0;
    this.scope.show(shown.scope);
    this.immediate.checked = shown.immediate;
    this.discard.disabled = isBusy || !marks.length;
    this.apply.disabled = isBusy || !marks.length;
    this.apply.textContent = isBusy ? "Applying …" : "Apply";
  }

  #expand() {
    this.#setExpanded(this.details.hidden !== false);
  }

  /** @param {boolean} expanded */
  #setExpanded(expanded) {
    this.details.hidden = !expanded;
    this.toggle.setAttribute("aria-expanded", String(expanded));
  }

  /** @param {KeyboardEvent} event */
  #close(event) {
    if (event.key !== "Escape" || this.details.hidden) return;
    this.#setExpanded(false);
    event.preventDefault();
    this.toggle.focus();
  }
}

/** Two buttons that say in which images marks count. @param {(scope: Scope) => void} choose */
export function scopeSwitch(choose) {
  const buttons = SCOPES.map(([scope, name, title]) =>
    h("button", { type: "button", title, on: { click: () => choose(scope) } }, name),
  );
  const element = h("div", { class: "toggle scope", role: "group", "aria-label": "Where marks count" }, ...buttons);
  const show = (/** @type {Scope} */ scope) =>
    buttons.forEach((one, n) => one.setAttribute("aria-pressed", String(SCOPES[n][0] === scope)));
  show("all");
  return { element, show };
}

/** "3 marks: road 2, kerb 1", with the colours of the classes. @param {Mark[]} marks @returns {(Node|string)[]} */
function draftText(marks) {
  /** @type {Map<string, {color: string, count: number}>} */
  const counts = new Map();
  for (const { of } of marks) counts.set(of.name, { color: of.color, count: (counts.get(of.name)?.count ?? 0) + 1 });
  return [
    h("strong", {}, counted(marks.length, "mark")),
    ...[...counts].map(([name, { color, count }]) =>
      h("span", { class: "mark-count" }, swatch(color), h("span", { class: "name" }, name), String(count)),
    ),
  ];
}
