/** Short messages at the page's edge, and what is only said to screen readers. */

import { h, icon, iconButton } from "./dom.js";

const SHOWN_MS = 9000;

export class Toasts {
  constructor() {
    this.element = h("div", { class: "toasts", role: "region", "aria-label": "Messages" });
    /** @type {string[]} */
    this.toSay = [];
    this.said = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
  }

  /** Say it to screen readers. @param {string} text */
  say(text) {
    this.toSay.push(text);
    if (this.toSay.length > 1) return;
    this.said.textContent = "";
    setTimeout(() => (this.said.textContent = this.toSay.splice(0).join(" ")), 150); // what comes at once is said as one
  }

  /**
   * @param {string} text
   * @param {{kind?: "done"|"problem", more?: string, action?: {name: string, does: () => void}|null}} [options]
   */
  show(text, { kind = "done", more = "", action = null } = {}) {
    const toast = h(
      "div",
      { class: `toast ${kind}`, role: kind === "problem" ? "alert" : "status" },
      icon(kind === "problem" ? "alert" : "check"),
      h("div", { class: "toast-text" }, h("strong", {}, text), more ? h("span", {}, more) : null),
    );
    if (action)
      toast.append(
        h(
          "button",
          {
            type: "button",
            class: "button small",
            on: {
              click: () => {
                toast.remove();
                action.does();
              },
            },
          },
          action.name,
        ),
      );
    toast.append(iconButton("close", "Dismiss", { on: { click: () => toast.remove() } }));
    if (this.element.children.length > 2) this.element.firstElementChild.remove();
    this.element.append(toast);
    if (kind === "problem") return; // stays until it is read
    let timer = setTimeout(() => toast.remove(), SHOWN_MS);
    for (const event of ["pointerenter", "focusin"]) toast.addEventListener(event, () => clearTimeout(timer));
    for (const event of ["pointerleave", "focusout"])
      toast.addEventListener(event, () => (timer = setTimeout(() => toast.remove(), SHOWN_MS)));
  }

  /** @param {unknown} error a `Problem`, or whatever else was thrown @param {string} [about] */
  problem(error, about = "") {
    const problem = /** @type {import("./api.js").Problem} */ (error);
    if (problem.name === "AbortError" || problem.status === 401) return;
    this.show(about ? `${about}: ${problem.message}` : problem.message, {
      kind: "problem",
      more: problem.advice ?? "",
    });
  }
}
