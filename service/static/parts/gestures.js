/** Mouse, pen and touch on the image: hover, click, drag, wheel and pinch; a tool may draw instead. */

/** @typedef {{x: number, y: number}} Place on the page */
/**
 * The view that the gestures act on.
 * @typedef {object} View
 * @property {HTMLElement} element
 * @property {boolean} held whether a key is held down with which dragging always pans
 * @property {Drawer|null} drawer
 * @property {(x: number, y: number) => number} segmentAt
 * @property {(x: number, y: number) => void} hoverAt
 * @property {(segment: number) => void} hover
 * @property {(segment: number) => void} open
 * @property {(x: number, y: number) => void} pan
 * @property {(factor: number, x: number, y: number) => void} zoom
 */
/**
 * What draws with the pointer.
 * @typedef {object} Drawer
 * @property {boolean} isActive whether it draws, so that segments under the pointer are not named
 * @property {(event: PointerEvent) => boolean} begins whether it draws while this pointer is down
 * @property {(event: PointerEvent) => void} down
 * @property {(events: PointerEvent[]) => void} move
 * @property {(event: PointerEvent) => void} up
 * @property {() => void} cancel what this pointer began is not drawn
 * @property {(event: PointerEvent|null) => void} hover null: the pointer has left
 * @property {(direction: 1|-1) => void} resize
 */

const STILL = 5; // pixels of the page that the pointer may move during a click
const NOTCH = 40; // of a wheel: how far it must turn for one step of the size

/** Turn the pointer's events into actions of the view. @param {View} view */
export function addGestures(view) {
  const { element } = view;
  const pointers = new Pointers(view);
  element.addEventListener("pointerdown", (event) => pointers.press(event));
  element.addEventListener("pointermove", (event) => pointers.move(event));
  element.addEventListener("pointerup", (event) => pointers.release(event));
  element.addEventListener("pointercancel", (event) => pointers.release(event));
  element.addEventListener("pointerleave", () => {
    view.hover(-1);
    view.drawer?.hover(null);
  });
  element.addEventListener("dblclick", (event) => event.preventDefault());
  element.addEventListener("wheel", wheel(view), { passive: false });
}

/** The pointers that are down: fingers, a pen or the mouse. */
class Pointers {
  /** @param {View} view */
  constructor(view) {
    this.view = view;
    /** @type {Map<number, Place>} */
    this.down = new Map();
    this.moved = 0; // pixels since the first pointer went down
    /** @type {number|null} the pointer that draws */
    this.drawing = null;
    this.isPen = false; // whether a pen draws: fingers beside it are the hand that holds it
  }

  /** @param {PointerEvent} event */
  press(event) {
    if (event.button > 1 || (this.isPen && event.pointerType === "touch")) return;
    const { view, down } = this;
    if (!down.size) this.moved = 0;
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    view.element.setPointerCapture(event.pointerId);
    if (event.button === 1) event.preventDefault(); // no scrolling by the middle button
    if (down.size === 1 && event.button === 0 && !view.held && view.drawer?.begins(event)) {
      this.drawing = event.pointerId;
      this.isPen = event.pointerType === "pen";
      view.drawer.down(event);
    } else this.#stopDrawing();
  }

  /** @param {PointerEvent} event */
  move(event) {
    const { view, down } = this;
    const last = down.get(event.pointerId);
    if (!last) return this.#hover(event);
    if (event.pointerId === this.drawing) return view.drawer?.move(coalesced(event));
    const now = { x: event.clientX, y: event.clientY };
    this.moved += Math.hypot(now.x - last.x, now.y - last.y);
    if (down.size === 2) pinch(view, last, now, otherThan(down, event.pointerId));
    else if (this.moved > STILL) view.pan(now.x - last.x, now.y - last.y);
    if (this.moved > STILL) view.element.classList.add("dragging");
    down.set(event.pointerId, now);
  }

  /** @param {PointerEvent} event */
  release(event) {
    const { view, down } = this;
    const was = down.delete(event.pointerId);
    view.element.classList.remove("dragging");
    if (event.pointerId === this.drawing) {
      if (event.type === "pointerup") view.drawer?.up(event);
      else view.drawer?.cancel();
      this.drawing = null;
      this.isPen = false;
    } else if (was && event.type === "pointerup" && !down.size && this.moved <= STILL && event.button === 0 && !view.held)
      view.open(view.segmentAt(event.clientX, event.clientY));
    if (down.size) this.moved = STILL + 1; // lifting a finger of two is not a click
  }

  /** A second finger zooms. */
  #stopDrawing() {
    if (this.drawing === null) return;
    this.view.drawer?.cancel();
    this.drawing = null;
    this.moved = STILL + 1;
  }

  /** @param {PointerEvent} event */
  #hover(event) {
    if (event.pointerType === "touch") return;
    const { view } = this;
    if (view.drawer?.isActive) view.hover(-1);
    else view.hoverAt(event.clientX, event.clientY);
    view.drawer?.hover(event);
  }
}

/** All positions of the pointer since the last event. @param {PointerEvent} event @returns {PointerEvent[]} */
function coalesced(event) {
  const events = event.getCoalescedEvents?.() ?? [];
  return events.length ? events : [event];
}

/** The listener of the wheel: it zooms; with Shift it pans, with Alt it changes the size of the brush. @param {View} view */
function wheel(view) {
  let turned = 0;
  return (/** @type {WheelEvent} */ event) => {
    event.preventDefault();
    const box = view.element.getBoundingClientRect();
    if (event.altKey && view.drawer) {
      turned += event.deltaY || event.deltaX;
      if (Math.abs(turned) >= NOTCH) view.drawer.resize(turned < 0 ? 1 : -1);
      if (Math.abs(turned) >= NOTCH) turned = 0;
    } else if (event.shiftKey) view.pan(-event.deltaY - event.deltaX, 0);
    else
      view.zoom(
        Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)),
        event.clientX - box.left,
        event.clientY - box.top,
      );
  };
}

/** @param {Map<number, Place>} down two pointers @param {number} pointerId @returns {Place} the other pointer */
const otherThan = (down, pointerId) => [...down].filter(([id]) => id !== pointerId)[0][1];

/**
 * Zoom and pan as one finger of two moves.
 * @param {View} view
 * @param {Place} last where the finger was
 * @param {Place} now
 * @param {Place} other the finger that rests
 */
function pinch(view, last, now, other) {
  const box = view.element.getBoundingClientRect();
  const before = Math.hypot(last.x - other.x, last.y - other.y);
  const after = Math.hypot(now.x - other.x, now.y - other.y);
  view.pan((now.x - last.x) / 2, (now.y - last.y) / 2);
  if (before > 0) view.zoom(after / before, (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
}
