/** Mouse, pen and fingers on the stage: hover, click, drag, wheel and pinch. */

/** @typedef {import("./stage.js").Stage} Stage */

const STILL = 5; // page pixels that a click may wander

/** @param {Stage} stage */
export function follow(stage) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  let wandered = 0;
  /** @type {HTMLElement} */
  const element = stage.element;

  element.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    if (!down.size) wandered = 0;
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    const last = down.get(event.pointerId);
    if (!last) {
      if (event.pointerType !== "touch") stage.hover(stage.segmentAt(event.clientX, event.clientY));
      return;
    }
    const now = { x: event.clientX, y: event.clientY };
    wandered += Math.hypot(now.x - last.x, now.y - last.y);
    if (down.size === 2) pinch(stage, down, event.pointerId, now);
    else if (wandered > STILL) stage.pan(now.x - last.x, now.y - last.y);
    if (wandered > STILL) element.classList.add("dragging");
    down.set(event.pointerId, now);
  });
  const up = (/** @type {PointerEvent} */ event) => {
    const was = down.delete(event.pointerId);
    element.classList.remove("dragging");
    if (was && event.type === "pointerup" && !down.size && wandered <= STILL)
      stage.open(stage.segmentAt(event.clientX, event.clientY));
    if (down.size) wandered = STILL + 1; // the second finger of a pinch is no click
  };
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
  element.addEventListener("pointerleave", () => stage.hover(-1));
  element.addEventListener("dblclick", (event) => event.preventDefault());
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      if (event.shiftKey) stage.pan(-event.deltaY - event.deltaX, 0);
      else
        stage.zoom(
          Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)),
          event.clientX - box.left,
          event.clientY - box.top,
        );
    },
    { passive: false },
  );
}

/**
 * @param {Stage} stage
 * @param {Map<number, {x: number, y: number}>} down
 * @param {number} moved
 * @param {{x: number, y: number}} now
 */
function pinch(stage, down, moved, now) {
  const last = /** @type {{x: number, y: number}} */ (down.get(moved));
  const other = [...down].filter(([id]) => id !== moved)[0][1];
  const box = stage.element.getBoundingClientRect();
  const was = Math.hypot(last.x - other.x, last.y - other.y);
  const is = Math.hypot(now.x - other.x, now.y - other.y);
  stage.pan((now.x - last.x) / 2, (now.y - last.y) / 2);
  if (was > 0) stage.zoom(is / was, (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
}
