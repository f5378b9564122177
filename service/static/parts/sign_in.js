/** Signing in and out, where the service asks for keys. */

import { button, h } from "../lib/dom.js";
import { describe, isUnauthorized, requests } from "../lib/http.js";
import { icon } from "../lib/icons.js";

/** @typedef {import("../lib/session.js").Session} Session */

const FIRST = "This service needs a key. Its operator creates one with “segsort keys new”.";
const AGAIN =
  "Your session has ended, or your key was changed. What is on this page stays, also marks that are not applied. Sign in, then repeat the last step.";

/** The dialog that asks for a key. It opens by itself when a request is refused for its key. */
export class SignInDialog {
  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    this.field = h("input", {
      id: "key",
      type: "password",
      autocomplete: "current-password",
      required: true,
      "aria-describedby": "key-problem",
    });
    this.title = h("h2", { id: "sign-in-title" });
    this.why = h("p");
    this.fault = h("p", { id: "key-problem", class: "fault", role: "alert" });
    this.element = h("dialog", { class: "dialog sign-in", "aria-labelledby": "sign-in-title" }, this.#form());
    this.element.addEventListener("cancel", (event) => event.preventDefault()); // the page is of no use without a key
    requests.on("unauthorized", () => this.#open());
  }

  #form() {
    return h(
      "form",
      { on: { submit: (event) => this.#submit(event) } },
      icon("key"),
      this.title,
      this.why,
      h("label", { htmlFor: "key" }, "API key"),
      this.field,
      this.fault,
      h("button", { class: "button primary wide" }, "Sign in"),
    );
  }

  #open() {
    if (this.element.open) return;
    this.title.textContent = this.session.ended ? "Sign in again" : "Sign in";
    this.why.textContent = this.session.ended ? AGAIN : FIRST;
    this.field.value = this.fault.textContent = "";
    this.element.showModal();
    this.field.focus();
  }

  /** @param {Event} event */
  async #submit(event) {
    event.preventDefault();
    this.fault.textContent = "";
    try {
      await this.session.signIn(this.field.value.trim());
      this.element.close();
    } catch (error) {
      const { message, advice } = describe(error);
      this.fault.textContent = isUnauthorized(error)
        ? "The service does not know this key. Check it, or ask the operator for another."
        : `${message} ${advice}`;
      this.field.select();
    }
  }
}

/** Who is signed in, with the way out; empty where the service has no keys. @param {Session} session */
export function signedIn(session) {
  const element = h("div", { class: "session" });
  session.on("changed", () => {
    const { caller } = session;
    if (!caller?.keys) return element.replaceChildren();
    const rights = session.mayEdit ? "may segment images and edit" : "may segment images but not edit";
    element.replaceChildren(
      h(
        "span",
        { class: "who", title: `${caller.name} ${rights}` },
        h("strong", {}, caller.name),
        h("span", {}, caller.role),
      ),
      button({ class: "small", on: { click: () => session.signOut() } }, "Sign out"),
    );
  });
  return element;
}
