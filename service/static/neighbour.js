/** The way from segment to segment, as they lie in the picture. */

/** @typedef {import("./types.js").Answer} Answer */

/**
 * The nearest segment in a direction.
 * @param {Answer} answer
 * @param {number} from place of a segment; -1: the middle of the picture
 * @param {number[]} toward (x, y), of length 1
 * @returns {number} its place; `from` where there is none
 */
export function nearest(answer, from, [dx, dy]) {
  const middle = (/** @type {number} */ place) => { const [x, y, w, h] = answer.segments[place].bbox; return [x + w / 2, y + h / 2]; };
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
