/** What keys do on the page of a picture. */

import { isTyping } from "./dom.js";

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./picture.js").PicturePage} PicturePage */

/**
 * Keys of the whole page.
 * @param {PicturePage} page
 * @param {KeyboardEvent} event
 * @returns {boolean} whether it meant something here
 */
export function pageKey(page, event) {
  if (!page.answer || event.ctrlKey || event.metaKey || event.altKey) return false;
  if (event.key === "Escape" && page.inquiry.isOpen) page.close();
  else if (isTyping(event.target)) return false;
  else if (page.inquiry.isOpen && event.key === "ArrowRight") page.step(1);
  else if (page.inquiry.isOpen && event.key === "ArrowLeft") page.step(-1);
  else if (page.inquiry.chooser && /^\d$/.test(event.key)) return page.inquiry.chooser.pick(Number(event.key) || 10);
  else if (page.inquiry.chooser && /^\p{L}$/u.test(event.key)) page.inquiry.chooser.focus(event.key);
  else if (event.key === "o") page.toolbar.toggleOutlines();
  else if (event.key === "+" || event.key === "=") page.stage.zoom(1.4);
  else if (event.key === "-") page.stage.zoom(1 / 1.4);
  else if (event.key === "0") page.stage.fit();
  else return false;
  return true;
}

/** From segment to segment as they lie. @param {PicturePage} page @param {KeyboardEvent} event */
export function stageKey(page, event) {
  const toward = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const now = page.stage.active >= 0 ? page.stage.active : page.selected;
  if (event.key === "Enter" && now >= 0) page.open(now);
  else if (toward && page.answer) page.list.activate(nearest(page.answer, now, toward));
  else return;
  const segment = page.answer?.segments[page.stage.active];
  if (toward && segment) page.app.say(`${segment.class_name}${segment.known ? "" : ", unknown"}`);
  event.preventDefault();
  event.stopPropagation();
}

/**
 * The nearest segment in a direction.
 * @param {Answer} answer
 * @param {number} from place of a segment; -1: the middle of the picture
 * @param {number[]} toward (x, y), of length 1
 * @returns {number} its place; `from` where there is none
 */
function nearest(answer, from, [dx, dy]) {
  const middle = (/** @type {number} */ place) => {
    const [x, y, w, h] = answer.segments[place].bbox;
    return [x + w / 2, y + h / 2];
  };
  const [x, y] = from >= 0 ? middle(from) : [answer.width / 2, answer.height / 2];
  let best = from;
  let least = Infinity;
  answer.segments.forEach((_, place) => {
    const [ox, oy] = middle(place);
    const along = (ox - x) * dx + (oy - y) * dy;
    const aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
    const cost = along + 2 * aside;
    if (place !== from && along > 0.5 && cost < least) [best, least] = [place, cost];
  });
  return best < 0 ? 0 : best;
}
