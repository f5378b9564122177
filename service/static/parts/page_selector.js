/** The page of a file with several pages: which one is shown, and a choice of the others. */

import { h } from "../lib/dom.js";
import { iconButton } from "../lib/elements.js";

/** @typedef {import("../lib/types.js").Answer} Answer */

const MOST_LISTED = 500; // pages; of longer files only the neighbours can be chosen

export class PageSelector {
  /** @param {(page: number) => void} choose called with a page, from 0 */
  constructor(choose) {
    this.choose = choose;
    this.page = 0;
    this.before = iconButton("left", "Previous page", { on: { click: () => choose(this.page - 1) } });
    this.after = iconButton("right", "Next page", { on: { click: () => choose(this.page + 1) } });
    this.list = h("select", { class: "small", "aria-label": "Page of the file" });
    this.list.addEventListener("change", () => choose(Number(this.list.value)));
    this.text = h("span", { class: "fine" });
    this.element = h(
      "div",
      { class: "page-selector", role: "group", "aria-label": "Pages of the file", hidden: true },
      this.before,
      this.list,
      this.text,
      this.after,
    );
  }

  /** @param {Answer} answer @param {boolean} hasFile whether the whole file is at hand */
  show({ page, pages }, hasFile) {
    this.page = page;
    this.element.hidden = pages < 2;
    this.list.hidden = !hasFile || pages > MOST_LISTED;
    const options = this.list.hidden ? [] : Array.from({ length: pages }, (_, n) => option(n, n === page));
    this.list.replaceChildren(...options);
    const where = this.list.hidden ? `Page ${page + 1} of ${pages}` : `of ${pages}`;
    this.text.textContent = hasFile ? where : `${where}. Choose the file again to see the others.`;
    this.before.hidden = this.after.hidden = !hasFile;
    this.before.disabled = page === 0;
    this.after.disabled = page === pages - 1;
  }
}

/** @param {number} page from 0 @param {boolean} selected */
const option = (page, selected) => h("option", { value: String(page), selected }, `Page ${page + 1}`);
