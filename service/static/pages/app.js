/** The application: its pages, and what they share. The script of index.html. */

import { Batch } from "../lib/batch.js";
import { Classes } from "../lib/classes.js";
import { h, isTextField, markCurrent } from "../lib/dom.js";
import { Edits } from "../lib/edits.js";
import { iconButton } from "../lib/elements.js";
import { capitalized, counted } from "../lib/format.js";
import { icon, logo } from "../lib/icons.js";
import { Images } from "../lib/images.js";
import { Jobs } from "../lib/jobs.js";
import { Releases } from "../lib/releases.js";
import { Session } from "../lib/session.js";
import { ExemplarViewer } from "../parts/exemplar_viewer.js";
import { helpDialog } from "../parts/help_dialog.js";
import { Messages } from "../parts/messages.js";
import { watchForNewerPage } from "../parts/newer_page.js";
import { pageKey } from "../parts/shortcuts.js";
import { SignInDialog, signedIn } from "../parts/sign_in.js";
import { isUntaught } from "../parts/teach_me.js";
import { ThemeButton } from "../parts/theme_button.js";
import { EditsPage } from "./edits_page.js";
import { ExemplarsPage } from "./exemplars_page.js";
import { ImagePage } from "./image_page.js";
import { ImagesPage } from "./images_page.js";
import { ReleasesPage } from "./releases_page.js";
import { UnknownPage } from "./unknown_page.js";

/** @typedef {import("../lib/types.js").Edit} Edit */
/** @typedef {import("../parts/context.js").Context} Context */
/**
 * @typedef {object} Page
 * @property {string} title
 * @property {HTMLElement} element
 * @property {(path: string[]) => void} show path: what follows the page's name in the address
 */

const TABS = /** @type {const} */ ([
  ["", "Image", "image"],
  ["images", "Images", "images"],
  ["unknown", "Unknown", "groups"],
  ["exemplars", "Exemplars", "stack"],
  ["edits", "Edits", "log"],
  ["releases", "Releases", "box"],
]);

/** @implements {Context} */
class App {
  constructor() {
    this.messages = new Messages();
    this.session = new Session();
    this.classes = new Classes();
    this.releases = new Releases(this.classes);
    this.jobs = new Jobs();
    this.edits = new Edits(() => this.classes.refresh());
    this.viewer = new ExemplarViewer({
      colorOf: (name) => this.classes.colorOf(name),
      mayEdit: () => this.session.mayEdit,
      remove: (one) => this.edits.removeExemplars([one.exemplar_id]).catch((error) => this.showProblem(error)),
      showProblem: (error) => this.showProblem(error),
    });
    this.batch = new Batch();
    this.images = new Images();
    /** @type {ImagesPage} */
    this.gallery = new ImagesPage(this);
    this.image = new ImagePage(this);
    /** @type {Record<string, Page>} by the name in the address */
    this.pages = {
      "": this.image,
      images: this.gallery,
      unknown: new UnknownPage(this),
      exemplars: new ExemplarsPage(this),
      edits: new EditsPage(this),
      releases: new ReleasesPage(this),
    };
    this.shown = "";
    this.help = helpDialog();
    this.tabs = TABS.map(([name, title, drawing]) =>
      h("a", { href: `#/${name}`, dataset: { page: name } }, icon(drawing), h("span", {}, title)),
    );
    this.main = h("main", { id: "main", tabIndex: -1 }, ...Object.values(this.pages).map((page) => page.element));
  }

  async start() {
    document.body.replaceChildren(
      skipLink("Skip to the content", () => this.main),
      skipLink("Skip to the segments", () => this.image.list.list, "to-list"), // access.css shows it beside an image
      this.#header(),
      this.main,
      this.messages.element,
      this.messages.announcer,
      new SignInDialog(this.session).element,
      this.viewer.dialog,
      this.help,
    );
    this.edits.on("edited", ({ edit }) => this.#edited(edit));
    this.releases.on("served", () => this.#offerUpdate());
    this.images.on("deleted", () => this.image.answer || this.tabs[0].setAttribute("href", "#/"));
    for (const event of /** @type {const} */ (["changed", "ended"])) this.batch.on(event, () => this.#showQueue());
    const early = this.classes.refresh().then(() => true, () => false); // with the session: one round trip less
    this.session.on("changed", () => this.#enter(early));
    this.session.on("changed", () => this.batch.signedIn());
    watchForNewerPage(this.messages);
    addEventListener("hashchange", () => this.#route());
    addEventListener("keydown", (event) => this.#key(event));
    await this.session.start().catch((error) => this.showProblem(error));
  }

  /** @param {string} text */
  announce(text) {
    this.messages.announce(text);
  }

  /** @param {string} text */
  notify(text) {
    this.messages.show(text);
  }

  /** @param {unknown} error @param {string} [subject] */
  showProblem(error, subject = "") {
    this.messages.problem(error, subject);
  }

  /** @param {string} hash */
  navigate(hash) {
    if (location.hash === hash) this.#route();
    else location.hash = hash;
  }

  /** @param {string} hash @param {boolean} push */
  setAddress(hash, push) {
    if (location.hash !== hash) history[push ? "pushState" : "replaceState"](null, "", hash);
    this.tabs[0].setAttribute("href", hash);
  }

  /** After another release was served: offer to label the stored images with it. */
  async #offerUpdate() {
    if (isUntaught(this.classes.list) || !this.session.mayEdit) return;
    const count = await this.gallery.countOutdated().catch(() => 0);
    if (!count) return;
    const run = () => this.gallery.updateOutdated();
    this.messages.show(`${counted(count, "image has", "images have")} labels of an earlier release`, { action: { name: "Update them", run } });
  }

  /** Show beside the tab of the images how many of the queue are done. */
  #showQueue() {
    const tab = this.tabs.find((one) => one.dataset.page === "images");
    const { isActive, items } = this.batch;
    if (tab) tab.dataset.badge = isActive ? `${this.batch.count("answered")} of ${items.length}` : "";
  }

  async undo() {
    try {
      const undone = await this.edits.undo();
      if (!undone)
        this.messages.show("Nothing to undo on this page", { more: "Older edits can be reverted on the page Edits." });
    } catch (error) {
      this.showProblem(error);
    }
  }

  async redo() {
    await this.edits.redo().catch((error) => this.showProblem(error));
  }

  /** @param {Edit} edit */
  async revert(edit) {
    await this.edits.revert(edit.revision, edit.kind === "revert").catch((error) => this.showProblem(error));
  }

  #header() {
    return h(
      "header",
      { class: "bar" },
      h("a", { class: "brand", href: "#/start", "aria-label": "segsort, start page" }, logo(), h("span", {}, "segsort")),
      h("nav", { class: "tabs", "aria-label": "Pages" }, ...this.tabs),
      h("span", { class: "gap" }),
      signedIn(this.session),
      iconButton("help", "Keyboard shortcuts", {
        title: "Keyboard shortcuts (?)",
        on: { click: () => this.help.showModal() },
      }),
      new ThemeButton().element,
    );
  }

  /** @param {Promise<boolean>} early whether the classes could be loaded before it was known who is signed in */
  async #enter(early) {
    if (!(await early)) await this.classes.refresh().catch((error) => this.showProblem(error));
    for (const loaded of [this.releases, this.jobs]) loaded.refresh().catch((error) => this.showProblem(error));
    this.#route();
  }

  /** Show the page that the address names. */
  #route() {
    if (!this.session.caller) return;
    const [first, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
    const name = first in this.pages ? first : "";
    for (const [key, page] of Object.entries(this.pages)) page.element.hidden = key !== name;
    for (const tab of this.tabs) markCurrent(tab, tab.dataset.page === name, "page");
    document.title = name ? `${this.pages[name].title} · segsort` : "segsort";
    this.shown = name;
    if (first === "start") this.image.loading.goHome();
    else this.pages[name].show(name || first === "s" ? rest : []);
  }

  /** @param {Edit|null} edit null: nothing had to change */
  #edited(edit) {
    this.image.showUndo();
    if (!edit) return this.notify("Nothing changed: it was like this already");
    const text = capitalized(edit.summary);
    this.announce(text);
    if (this.shown === "" && this.image.answer) return; // the image page shows the edit beside the image
    const undoable = edit.kind !== "revert" && this.session.mayEdit;
    this.messages.show(text, { action: undoable ? { name: "Undo", run: () => this.revert(edit) } : null });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (document.querySelector("dialog[open]") || event.defaultPrevented) return;
    if (isUndo(event) && this.session.mayEdit) this.shown === "" ? this.image.undo() : this.undo();
    else if (isRedo(event) && this.session.mayEdit) this.shown === "" ? this.image.redo() : this.redo();
    else if (event.key === "?" && !isTextField(event.target)) this.help.showModal();
    else if (this.shown !== "" || !pageKey(this.image, event)) return;
    event.preventDefault();
  }
}

/** A link for the keyboard past what comes first. @param {string} text @param {() => HTMLElement} to @param {string} kind */
function skipLink(text, to, kind = "") {
  const click = (/** @type {Event} */ event) => {
    event.preventDefault();
    to().focus();
  };
  return h("a", { class: `skip ${kind}`.trim(), href: "#main", on: { click } }, text);
}

/** Whether the key is Ctrl+Z and does not undo typing. @param {KeyboardEvent} event */
const isUndo = (event) => isControl(event) && event.key === "z" && !event.shiftKey;

/** Whether the key is Ctrl+Shift+Z or Ctrl+Y and does not redo typing. @param {KeyboardEvent} event */
const isRedo = (event) => isControl(event) && (event.key === "y" || (event.key.toLowerCase() === "z" && event.shiftKey));

/** Whether the key is pressed with Ctrl, and not in a text field that contains something. @param {KeyboardEvent} event */
function isControl({ target, ctrlKey, metaKey }) {
  const isTyped = isTextField(target) && !(target instanceof HTMLInputElement && target.value === "");
  return (ctrlKey || metaKey) && !isTyped;
}

new App().start();
