/** The button that goes to the image to label next. */

import * as api from "../lib/api.js";
import { button, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";

/** @typedef {import("./context.js").Context} Context */

/** @param {Context} context @param {() => string|null} shown id of the answer on the page */
export function nextImageButton(context, shown) {
  const go = async () => {
    element.disabled = true;
    try {
      const { suggestions } = await api.listSuggestions(1, shown());
      const [next] = suggestions;
      if (next) {
        context.navigate(`#/s/${next.segmentation_id}`);
        context.notify(`Label this image next. ${next.reasons[0] ?? ""}`);
      } else context.notify("No other recent image needs labels. Add more images, or label this one.");
    } catch (error) {
      context.showProblem(error);
    } finally {
      element.disabled = false;
    }
  };
  const element = button(
    { class: "small wide", title: "The image that teaches most if it is labelled (N)", on: { click: go } },
    "Next image to label",
    icon("right"),
  );
  return h("div", { class: "next-image editing" }, element);
}
