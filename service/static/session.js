/** Who is asking: signing in where the service has keys. */

import * as api from "./api.js";
import { h, icon } from "./dom.js";

/** @typedef {import("./types.js").Caller} Caller */

/**
 * Announces "changed" when somebody has signed in or out.
 */
export class Session extends EventTarget {
  constructor() {
    super();
    /** @type {Caller|null} */
    this.caller = null;
    this.element = h("div", { class: "session" });
    this.dialog = h("dialog", { class: "dialog sign-in", "aria-labelledby": "sign-in-title" });
    this.dialog.addEventListener("cancel", (/** @type {Event} */ event) => event.preventDefault()); // nothing can be done without
    api.doors.addEventListener("signin", () => this.ask());
  }

  get mayEdit() {
    return this.caller?.role === "curator";
  }

  /** Learn who is signed in; asks for a key where one is needed. */
  async start() {
    try {
      this.caller = await api.get("/me");
    } catch (error) {
      if (/** @type {api.Problem} */ (error).status !== 401) throw error;
      return;
    }
    this.#changed();
  }

  ask() {
    if (this.dialog.open) return;
    const field = h("input", {
      id: "key",
      type: "password",
      autocomplete: "current-password",
      required: true,
      placeholder: "API key",
      "aria-describedby": "key-problem",
    });
    const fault = h("p", { id: "key-problem", class: "fault", role: "alert" });
    const send = async (/** @type {Event} */ event) => {
      event.preventDefault();
      fault.textContent = "";
      try {
        this.caller = await api.post("/session", { key: field.value.trim() });
        this.dialog.close();
        this.#changed();
      } catch (error) {
        const problem = /** @type {api.Problem} */ (error);
        fault.textContent =
          problem.status === 401
            ? "This key is not known. Check it, or ask the operator for another."
            : `${problem.message} ${problem.advice}`;
        field.select();
      }
    };
    this.dialog.replaceChildren(
      h(
        "form",
        { on: { submit: send } },
        icon("key"),
        h("h2", { id: "sign-in-title" }, "Sign in"),
        h("p", {}, "This service asks for a key. Its operator makes one with “segsort keys new”."),
        h("label", { htmlFor: "key" }, "API key"),
        field,
        fault,
        h("button", { class: "button primary wide" }, "Sign in"),
      ),
    );
    this.dialog.showModal();
    field.focus();
  }

  async #leave() {
    await api.remove("/session").catch(() => null);
    location.reload();
  }

  #changed() {
    const { caller } = this;
    const role = caller?.role === "reader" ? "may look" : "may edit";
    this.element.replaceChildren(
      ...(caller?.keys
        ? [
            h(
              "span",
              { class: "who", title: `${caller.name} ${role}` },
              h("strong", {}, caller.name),
              h("span", {}, caller.role),
            ),
            h("button", { type: "button", class: "button small", on: { click: () => this.#leave() } }, "Sign out"),
          ]
        : []),
    );
    document.body.classList.toggle("reader", !this.mayEdit);
    this.dispatchEvent(new Event("changed"));
  }
}
