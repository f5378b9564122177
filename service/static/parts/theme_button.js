/** The button that switches between light and dark colours. */

import { iconButton } from "../lib/elements.js";

const THEMES = ["auto", "light", "dark"];
const KEY = "theme"; // in the browser's storage

/** A button that goes through the themes; "auto" follows the system. */
export class ThemeButton {
  constructor() {
    this.theme = storedTheme();
    this.element = iconButton("theme", "Theme", { on: { click: () => this.#next() } });
    this.#show();
  }

  #next() {
    this.theme = THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length];
    try {
      localStorage.setItem(KEY, this.theme);
    } catch {
      // Storage is forbidden: the theme lasts for this visit.
    }
    this.#show();
  }

  #show() {
    document.documentElement.dataset.theme = this.theme;
    this.element.title = `Theme: ${this.theme === "auto" ? "same as the system" : this.theme}`;
    this.element.setAttribute("aria-label", this.element.title);
  }
}

function storedTheme() {
  try {
    const theme = localStorage.getItem(KEY) ?? "auto";
    return THEMES.includes(theme) ? theme : "auto";
  } catch {
    return "auto"; // storage is forbidden
  }
}
