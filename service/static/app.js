/** The page as a whole: what is shown where, and what all of it shares. */

import * as api from "./api.js";
import { Classes } from "./classes.js";
import { current, h, icon, iconButton, isTyping } from "./dom.js";
import { Edits } from "./edits.js";
import { EditsPage } from "./edits_page.js";
import { ExemplarsPage } from "./exemplars_page.js";
import { pageKey } from "./keys.js";
import { PicturePage } from "./picture.js";
import { ReleasesPage } from "./releases_page.js";
import { Session } from "./session.js";
import { help } from "./shortcuts.js";
import { Theme } from "./theme.js";
import { Toasts } from "./toast.js";
import { Viewer } from "./viewer.js";

/** @typedef {import("./types.js").Edit} Edit */

const PAGES = /** @type {const} */ ([
  ["", "Picture", "picture"],
  ["exemplars", "Exemplars", "stack"],
  ["edits", "Edits", "log"],
  ["releases", "Releases", "box"],
]);

export class App {
  constructor() {
    this.toasts = new Toasts();
    this.session = new Session();
    this.classes = new Classes();
    this.edits = new Edits(() => this.classes.refresh());
    this.viewer = new Viewer({
      colorOf: (name) => this.classes.colorOf(name),
      mayEdit: () => this.session.mayEdit,
      remove: (one) => this.edits.remove([one.exemplar_id]).catch((error) => this.problem(error)),
      problem: (error) => this.problem(error),
    });
    const picture = new PicturePage(this);
    /** @type {Record<string, {title: string, element: HTMLElement, show: (path: string[]) => void}>} */
    this.pages = {
      "": picture,
      exemplars: new ExemplarsPage(this),
      edits: new EditsPage(this),
      releases: new ReleasesPage(this),
    };
    this.picture = picture;
    this.shown = "";
    /** @type {HTMLAnchorElement[]} */
    this.links = [];
  }

  async start() {
    this.#build();
    this.edits.addEventListener("edited", (event) => this.#edited(/** @type {CustomEvent} */ (event).detail.edit));
    this.session.addEventListener("changed", () => this.#enter());
    addEventListener("hashchange", () => this.#route());
    addEventListener("keydown", (event) => this.#key(event));
    await this.session.start().catch((error) => this.problem(error));
  }

  /** @param {string} text for screen readers */
  say(text) {
    this.toasts.say(text);
  }

  /** Say it to everybody. @param {string} text */
  tell(text) {
    this.toasts.show(text);
  }

  /** @param {unknown} error @param {string} [about] */
  problem(error, about = "") {
    this.toasts.problem(error, about);
  }

  /** @param {string} hash */
  go(hash) {
    if (location.hash === hash) this.#route();
    else location.hash = hash;
  }

  /** Say in the address what is shown, without going there. @param {string} hash @param {boolean} push */
  address(hash, push) {
    if (location.hash !== hash) history[push ? "pushState" : "replaceState"](null, "", hash);
    this.links[0]?.setAttribute("href", hash);
  }

  async undo() {
    try {
      const undone = await this.edits.undo();
      if (!undone) this.toasts.show("Nothing to undo here", { more: "The page of edits takes any back." });
    } catch (error) {
      this.problem(error);
    }
  }

  /** Undo an edit, or, where it took one back itself, redo that. @param {Edit} edit */
  async takeBack(edit) {
    await this.edits.revert(edit.revision, edit.kind === "revert").catch((error) => this.problem(error));
  }

  #build() {
    this.links = PAGES.map(([name, title, drawing]) =>
      h("a", { href: `#/${name}`, dataset: { page: name } }, icon(drawing), h("span", {}, title)),
    );
    const bar = h(
      "header",
      { class: "bar" },
      h("a", { class: "brand", href: "#/", "aria-label": "segsort, start" }, mark(), h("span", {}, "segsort")),
      h("nav", { class: "tabs", "aria-label": "Pages" }, ...this.links),
      h("span", { class: "gap" }),
      this.session.element,
      iconButton("help", "Keys and help", { title: "Keys and help (?)", on: { click: () => this.help.showModal() } }),
      new Theme().element,
    );
    this.help = help();
    this.main = h("main", { id: "main", tabIndex: -1 }, ...Object.values(this.pages).map((page) => page.element));
    document.body.replaceChildren(
      h(
        "a",
        {
          class: "skip",
          href: "#main",
          on: {
            click: (/** @type {Event} */ event) => {
              event.preventDefault();
              this.main.focus();
            },
          },
        },
        "Skip to the content",
      ),
      bar,
      this.main,
      this.toasts.element,
      this.toasts.said,
      this.session.dialog,
      this.viewer.dialog,
      this.help,
    );
  }

  async #enter() {
    await this.classes.refresh().catch((error) => this.problem(error));
    this.#route();
  }

  #route() {
    if (!this.session.caller) return;
    const [first, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
    const name = first in this.pages ? first : "";
    for (const [key, page] of Object.entries(this.pages)) page.element.hidden = key !== name;
    for (const link of this.links) current(link, link.dataset.page === name, "page");
    document.title = name ? `${this.pages[name].title} · segsort` : "segsort";
    this.shown = name;
    this.pages[name].show(name || first === "s" ? rest : []);
  }

  /** @param {Edit|null} edit */
  #edited(edit) {
    const last = this.edits.last;
    this.picture.toolbar.undo.disabled = !last;
    if (!edit) this.tell("Nothing to change: it was so already");
    else {
      const text = edit.summary.charAt(0).toUpperCase() + edit.summary.slice(1);
      const undoable = edit.kind !== "revert" && this.session.mayEdit;
      const told = this.shown === "" && this.picture.answer; // beside the picture, with the way back
      if (!told)
        this.toasts.show(text, { action: undoable ? { name: "Undo", does: () => this.takeBack(edit) } : null });
      this.say(text);
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (document.querySelector("dialog[open]") || event.defaultPrevented) return;
    const typed = isTyping(event.target) && /** @type {HTMLInputElement} */ (event.target).value !== "";
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.shiftKey && !typed && this.session.mayEdit)
      this.undo();
    else if (event.key === "?" && !isTyping(event.target)) this.help.showModal();
    else if (this.shown !== "" || !pageKey(this.picture, event)) return;
    event.preventDefault();
  }
}

/** The mark: three segments of a circle. */
function mark() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "mark");
  svg.setAttribute("aria-hidden", "true");
  for (const [d, name] of [
    ["M12 12V2a10 10 0 0 1 8.66 15z", "a"],
    ["M12 12l8.66 5A10 10 0 0 1 3.34 17z", "b"],
    ["M12 12l-8.66 5A10 10 0 0 1 12 2z", "c"],
  ]) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", d);
    path.setAttribute("class", name);
    svg.append(path);
  }
  return svg;
}

new App().start();
