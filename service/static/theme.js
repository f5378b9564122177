/** Light, dark, or as the system has it. */

import { iconButton } from "./dom.js";

const THEMES = ["auto", "light", "dark"];

export class Theme {
  constructor() {
    this.element = iconButton("theme", "Theme", {
      on: { click: () => this.#set(THEMES[(THEMES.indexOf(this.now) + 1) % THEMES.length]) },
    });
    this.now = "auto";
    try {
      this.#set(localStorage.getItem("theme") ?? "auto");
    } catch {
      this.#set("auto"); // storage may be forbidden
    }
  }

  /** @param {string} theme */
  #set(theme) {
    this.now = THEMES.includes(theme) ? theme : "auto";
    document.documentElement.dataset.theme = this.now;
    this.element.title = `Theme: ${this.now === "auto" ? "as the system" : this.now}`;
    this.element.setAttribute("aria-label", this.element.title);
    try {
      localStorage.setItem("theme", this.now);
    } catch {
      // kept for this visit alone
    }
  }
}
