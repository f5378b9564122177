/** Keyboard shortcuts of the image page. */

import { isTextField } from "../lib/dom.js";
import { labelOf } from "../lib/labels.js";

/** @typedef {import("../lib/types.js").Answer} Answer */
/**
 * The page that the shortcuts act on.
 * @typedef {object} Target
 * @property {Answer|null} answer
 * @property {number} selected index of the open segment, or -1
 * @property {import("./explanation_panel.js").ExplanationPanel} explanation
 * @property {import("./toolbar.js").Toolbar} toolbar
 * @property {import("./image_view.js").ImageView} view
 * @property {HTMLElement} nextImage holds the button that goes to the image to label next
 * @property {import("./segment_list.js").SegmentList} list
 * @property {import("./marking/marking.js").Marking} marking
 * @property {(index: number) => void} open
 * @property {() => void} close
 * @property {(by: number) => void} step to the next or the previous segment
 * @property {(text: string) => void} announce
 */

const ZOOM = 1.4;

/**
 * Keys that work anywhere on the page.
 * @param {Target} page
 * @param {KeyboardEvent} event
 * @returns {boolean} whether the key did something
 */
export function pageKey(page, event) {
  if (page.answer && page.marking.key(event, page.explanation.isOpen)) return true;
  if (!page.answer || event.ctrlKey || event.metaKey || event.altKey) return false;
  const { explanation } = page;
  const { key } = event;
  if (key === "Escape" && explanation.isOpen) page.close();
  else if (isTextField(event.target)) return false;
  else if (explanation.isOpen && key === "ArrowRight") page.step(1);
  else if (explanation.isOpen && key === "ArrowLeft") page.step(-1);
  else if (explanation.picker && /^\d$/.test(key)) return explanation.picker.choose(Number(key) || 10);
  else if (explanation.picker && /^\p{L}$/u.test(key)) explanation.picker.focus(key);
  else return viewKey(page, key);
  return true;
}

/** @param {Target} page @param {string} key */
function viewKey(page, key) {
  if (key === "o") page.toolbar.toggleOutlines();
  else if (key === "n") page.nextImage.querySelector("button")?.click();
  else if (key === "u") page.toolbar.toggleCertainty();
  else if (key === "+" || key === "=") page.view.zoom(ZOOM);
  else if (key === "-") page.view.zoom(1 / ZOOM);
  else if (key === "0") page.view.fit();
  else return false;
  return true;
}

const DIRECTIONS = /** @type {Record<string, [number, number]|undefined>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

/** Keys of the focused image: arrows go to the next segment, Enter opens it. @param {Target} page @param {KeyboardEvent} event */
export function imageKey(page, event) {
  const direction = DIRECTIONS[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (page.marking.imageKey(event)) {
    event.preventDefault();
    event.stopPropagation();
    return;
  }
  const current = page.view.active >= 0 ? page.view.active : page.selected;
  if (event.key === "Enter" && current >= 0) page.open(current);
  else if (direction && page.answer) {
    page.list.activate(nearest(page.answer, current, direction));
    const segment = page.answer.segments[page.view.active];
    if (segment) page.announce(labelOf(segment));
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

/**
 * The nearest segment in a direction. Distance aside counts twice.
 * @param {Answer} answer
 * @param {number} from index of a segment; -1: start at the centre of the image
 * @param {[number, number]} direction (x, y), of length 1
 * @returns {number} its index; `from` where there is none
 */
function nearest(answer, from, [dx, dy]) {
  const centre = (/** @type {number} */ index) => {
    const [x, y, width, height] = answer.segments[index].bbox;
    return [x + width / 2, y + height / 2];
  };
  const [x, y] = from >= 0 ? centre(from) : [answer.width / 2, answer.height / 2];
  let best = from;
  let least = Infinity;
  answer.segments.forEach((_, index) => {
    const [otherX, otherY] = centre(index);
    const along = (otherX - x) * dx + (otherY - y) * dy;
    const aside = Math.abs((otherX - x) * dy) + Math.abs((otherY - y) * dx);
    const cost = along + 2 * aside;
    if (index !== from && along > 0.5 && cost < least) [best, least] = [index, cost];
  });
  return Math.max(best, 0);
}
