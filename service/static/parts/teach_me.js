/** What to do while the release has nothing that could vote. */

import { h } from "../lib/dom.js";

/** @typedef {import("../lib/types.js").OfferedClass} OfferedClass */

/** Whether no class has an exemplar, so that no segment can get a label. @param {OfferedClass[]} classes */
export const isUntaught = (classes) => classes.every((one) => !one.exemplars);

/** The title of the state, and what is missing. @param {boolean} hasClasses @param {string} advice what to do about it */
export const teachMe = (hasClasses, advice) => [
  h("h2", {}, "Teach me"),
  h("p", {}, `This release has no ${hasClasses ? "exemplars" : "classes"} yet. ${advice}`),
];
