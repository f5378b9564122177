/** Mouse, pen and touch on the image: hover, click, drag, wheel and pinch. */

/** @typedef {{x: number, y: number}} Point */
/**
 * The view that the gestures act on.
 * @typedef {object} View
 * @property {HTMLElement} element
 * @property {(x: number, y: number) => number} segmentAt
 * @property {(segment: number) => void} hover
 * @property {(segment: number) => void} open
 * @property {(x: number, y: number) => void} pan
 * @property {(factor: number, x: number, y: number) => void} zoom
 */

const STILL = 5; // pixels of the page that the pointer may move during a click

/** Turn the pointer's events into actions of the view. @param {View} view */
export function addGestures(view) {
  /** @type {Map<number, Point>} pointers that are down */
  const down = new Map();
  let moved = 0;
  const { element } = view;

  element.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    if (!down.size) moved = 0;
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    const last = down.get(event.pointerId);
    if (!last) {
      if (event.pointerType !== "touch") view.hover(view.segmentAt(event.clientX, event.clientY));
      return;
    }
    const now = { x: event.clientX, y: event.clientY };
    moved += Math.hypot(now.x - last.x, now.y - last.y);
    if (down.size === 2) pinch(view, last, now, otherThan(down, event.pointerId));
    else if (moved > STILL) view.pan(now.x - last.x, now.y - last.y);
    if (moved > STILL) element.classList.add("dragging");
    down.set(event.pointerId, now);
  });
  const up = (/** @type {PointerEvent} */ event) => {
    const was = down.delete(event.pointerId);
    element.classList.remove("dragging");
    if (was && event.type === "pointerup" && !down.size && moved <= STILL)
      view.open(view.segmentAt(event.clientX, event.clientY));
    if (down.size) moved = STILL + 1; // lifting a finger of two is not a click
  };
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("pointerleave", () => view.hover(-1));
  element.addEventListener("dblclick", (event) => event.preventDefault());
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      if (event.shiftKey) view.pan(-event.deltaY - event.deltaX, 0);
      else
        view.zoom(
          Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)),
          event.clientX - box.left,
          event.clientY - box.top,
        );
    },
    { passive: false },
  );
}

/** @param {Map<number, Point>} down two pointers @param {number} pointerId @returns {Point} the other pointer */
const otherThan = (down, pointerId) => [...down].filter(([id]) => id !== pointerId)[0][1];

/**
 * Zoom and pan as one finger of two moves.
 * @param {View} view
 * @param {Point} last where the finger was
 * @param {Point} now
 * @param {Point} other the finger that rests
 */
function pinch(view, last, now, other) {
  const box = view.element.getBoundingClientRect();
  const before = Math.hypot(last.x - other.x, last.y - other.y);
  const after = Math.hypot(now.x - other.x, now.y - other.y);
  view.pan((now.x - last.x) / 2, (now.y - last.y) / 2);
  if (before > 0) view.zoom(after / before, (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
}
