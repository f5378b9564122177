/** Short messages in a corner of the page, and announcements to screen readers. */

import { button, h } from "../lib/dom.js";
import { iconButton } from "../lib/elements.js";
import { describe, isCancelled, isUnauthorized } from "../lib/http.js";
import { icon } from "../lib/icons.js";

const SHOWN_MS = 9000;
const MOST = 3; // messages at a time
const ANNOUNCE_AFTER_MS = 150;

/**
 * @typedef {object} MessageOptions
 * @property {"done"|"problem"} [kind] a problem stays until it is dismissed
 * @property {boolean} [stays] whether it stays until it is dismissed though it is no problem
 * @property {string} [more] a second line
 * @property {{name: string, run: () => void}|null} [action] a button
 */

export class Messages {
  constructor() {
    this.element = h("div", { class: "toasts", role: "region", "aria-label": "Messages" });
    this.announcer = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
    /** @type {string[]} */
    this.waiting = [];
  }

  /** Say something to screen readers; texts of the same moment are joined. @param {string} text */
  announce(text) {
    this.waiting.push(text);
    if (this.waiting.length > 1) return;
    this.announcer.textContent = "";
    setTimeout(() => (this.announcer.textContent = this.waiting.splice(0).join(" ")), ANNOUNCE_AFTER_MS);
  }

  /** @param {string} text @param {MessageOptions} [options] */
  show(text, { kind = "done", more = "", action = null, stays = false } = {}) {
    const message = h(
      "div",
      { class: `toast ${kind}`, role: kind === "problem" ? "alert" : "status" },
      icon(kind === "problem" ? "alert" : "check"),
      h("div", { class: "toast-text" }, h("strong", {}, text), more ? h("span", {}, more) : null),
    );
    const act = () => {
      message.remove();
      action?.run();
    };
    if (action) message.append(button({ class: "small", on: { click: act } }, action.name));
    message.append(iconButton("close", "Dismiss", { on: { click: () => message.remove() } }));
    if (this.element.children.length >= MOST) this.element.firstElementChild?.remove();
    this.element.append(message);
    if (kind !== "problem" && !stays) hideLater(message);
  }

  /** @param {unknown} error @param {string} [subject] what it is about, such as the name of a file */
  problem(error, subject = "") {
    if (isCancelled(error) || isUnauthorized(error)) return;
    const { message, advice } = describe(error);
    this.show(subject ? `${subject}: ${message}` : message, { kind: "problem", more: advice });
  }
}

/** Remove a message after a while, but not while it has the pointer or the focus. @param {HTMLElement} message */
function hideLater(message) {
  let timer = setTimeout(() => message.remove(), SHOWN_MS);
  for (const event of ["pointerenter", "focusin"]) message.addEventListener(event, () => clearTimeout(timer));
  for (const event of ["pointerleave", "focusout"])
    message.addEventListener(event, () => (timer = setTimeout(() => message.remove(), SHOWN_MS)));
}
