/** The form that makes an empty release and serves it. */

import { button, h } from "../lib/dom.js";
import { describe } from "../lib/http.js";
import { icon } from "../lib/icons.js";

/** @typedef {import("./context.js").Context} Context */

const FORM = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/; // as the service accepts them

/** A name that the service accepts, of what a person typed. @param {string} typed */
export const releaseName = (typed) =>
  typed
    .trim()
    .normalize("NFKD")
    .replace(/[^\w.-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+|-+$/g, "")
    .slice(0, 100);

/**
 * @param {Context} context
 * @returns {HTMLElement[]}
 */
export function startOwn(context) {
  const name = h("input", {
    type: "text",
    id: "own-name",
    maxLength: 100,
    autocomplete: "off",
    spellcheck: false,
    placeholder: "my-cells",
    "aria-describedby": "own-fault",
  });
  const fault = h("p", { class: "field-fault", id: "own-fault", role: "alert", hidden: true });
  const start = button({ class: "primary", type: "submit" }, icon("plus"), "Start");
  const refuse = (/** @type {string} */ text) => {
    fault.textContent = text;
    fault.hidden = !text;
    if (text) name.focus();
  };
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const chosen = releaseName(name.value);
    if (!FORM.test(chosen)) return refuse("Give it a name, such as my-cells.");
    if (context.releases.list.some((one) => one.name === chosen))
      return refuse(`There is a release named ${chosen} already. Choose another name.`);
    refuse("");
    start.disabled = true;
    try {
      await context.releases.start(chosen);
      name.value = "";
      context.notify(`${chosen} is served now and knows nothing yet: drop images, pick a class, and paint.`);
    } catch (error) {
      const { message, advice } = describe(error);
      refuse(`${message} ${advice}`);
    } finally {
      start.disabled = false;
    }
  };
  return [
    h("h2", {}, "Start your own"),
    h(
      "p",
      { class: "fine" },
      "Begin with an empty release. Drop your images, pick a class and paint a few strokes: it learns while you work. What is served now stays as it is, and you can return to it.",
    ),
    h(
      "form",
      { class: "own-form", noValidate: true, on: { submit } },
      h("label", { htmlFor: "own-name" }, "Name"),
      h("div", { class: "own-row" }, name, start),
      fault,
    ),
    h(
      "p",
      { class: "fine" },
      "You have labelled images already? ",
      h("a", { href: "#/releases/build" }, "Build a release from them"),
      ".",
    ),
  ];
}
