/** The pen: mouse, stylus, finger or keyboard draws a shape with the tool in use. */

import { hasSize, largestBrush, nextSize } from "./tools.js";
import { BoxShape, FreeShape, PolygonShape } from "./shapes.js";

/** @typedef {import("../../lib/pixels.js").Point} Point */
/** @typedef {import("../image_view.js").ImageView} ImageView */
/** @typedef {import("../gestures.js").Drawer} Drawer */
/** @typedef {import("./tools.js").ToolName} ToolName */
/**
 * @typedef {object} Actions
 * @property {() => boolean} mayDraw
 * @property {() => void} begin a shape is begun
 * @property {(points: Point[]) => void} line a stroke of the brush was drawn
 * @property {(points: Point[]) => void} erase
 * @property {(ring: Point[]) => void} area
 * @property {(at: Point) => void} pick a segment, in addition to those that are selected
 * @property {(from: Point, to: Point) => void} pickInside all segments in a rectangle
 * @property {() => void} redraw the shape, its cursor or its size has changed
 * @property {(text: string) => void} announce
 */

const CLICK = 5; // pixels of the page that the pointer may move during a click
const DOUBLE_MS = 400;
const CLOSE = 9; // pixels of the page around the first corner of a polygon
const KEY_STEP = 10; // pixels of the page that an arrow key moves the cursor
const FINEST = 0.5; // pixels of the page between two points of a line
const ARROWS = /** @type {Record<string, Point|undefined>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

/** @implements {Drawer} */
export class Pen {
  /** @param {ImageView} view @param {Actions} actions */
  constructor(view, actions) {
    this.view = view;
    this.actions = actions;
    this.tool = /** @type {ToolName} */ ("select");
    this.size = 8; // of the brush, pixels of the image
    this.several = false; // whether a click adds to the selection without Shift
    /** @type {FreeShape|BoxShape|PolygonShape|null} */
    this.shape = null;
    /** @type {Point|null} */
    this.at = null;
    this.byKeys = false; // whether the arrow keys move it
    this.lastClick = { time: 0, x: 0, y: 0 };
  }

  get isActive() {
    return this.tool !== "select";
  }

  get isBusy() {
    return this.shape !== null;
  }

  /** What is drawn in place of the pointer. */
  get cursor() {
    if (!this.at || this.tool === "select") return null;
    const ring = hasSize(this.tool);
    return ring || this.byKeys ? { at: this.at, ring } : null;
  }

  /** @param {ToolName} tool */
  use(tool) {
    this.cancelShape();
    this.tool = tool;
    this.byKeys = false;
    this.actions.redraw();
  }

  /** @param {number} size pixels of the image */
  setSize(size) {
    this.size = size;
    this.actions.redraw();
  }

  /** @param {1|-1} direction */
  resize(direction) {
    const { drawing } = this.view;
    if (drawing && hasSize(this.tool)) this.setSize(nextSize(this.size, direction, largestBrush(drawing)));
  }

  /** @param {PointerEvent} event */
  begins(event) {
    return this.actions.mayDraw() && (this.tool !== "select" || event.shiftKey || this.several);
  }

  /** @param {PointerEvent} event */
  down(event) {
    this.byKeys = false;
    this.#press(this.#place(event));
    this.lastDown = { x: event.clientX, y: event.clientY };
  }

  /** @param {PointerEvent[]} events */
  move(events) {
    for (const event of events) this.#moveTo(this.#place(event));
    this.actions.redraw();
  }

  /** @param {PointerEvent} event */
  up(event) {
    const at = this.#place(event);
    if (this.tool === "polygon") return this.#corner(at, event);
    this.#moveTo(at);
    if (this.tool === "select" && this.#isClick(event)) {
      this.shape = null;
      this.actions.pick(at);
      this.actions.redraw();
    } else this.#finish();
    if (event.pointerType === "touch") this.at = null;
  }

  /** What the pointer that is down began is not drawn. The corners of a polygon stay. */
  cancel() {
    if (this.tool !== "polygon") this.cancelShape();
  }

  /** @param {PointerEvent|null} event */
  hover(event) {
    if (this.byKeys && event && Math.hypot(event.movementX, event.movementY) < 1) return;
    this.byKeys = false;
    this.at = event && this.#place(event);
    if (this.at && this.shape instanceof PolygonShape) this.shape.move(this.at);
    if (this.tool !== "select") this.actions.redraw();
  }

  /** @returns {boolean} whether there was a shape */
  cancelShape() {
    if (!this.shape) return false;
    this.shape = null;
    this.actions.redraw();
    return true;
  }

  /** Remove the last corner of a polygon. @returns {boolean} whether there was one */
  removeCorner() {
    if (!(this.shape instanceof PolygonShape)) return false;
    if (!this.shape.removeLast()) this.shape = null;
    this.lastClick.time = 0;
    this.actions.redraw();
    return true;
  }

  /** A key that works anywhere on the page. @param {KeyboardEvent} event @returns {boolean} whether it did something */
  key({ key }) {
    if (this.tool === "select") return false;
    if (key === "[") this.resize(-1);
    else if (key === "]") this.resize(1);
    else if (key === "Backspace") return this.removeCorner();
    else if (key === "Enter" && this.shape instanceof PolygonShape) this.#finish();
    else return false;
    return true;
  }

  /** A key of the focused image. @param {KeyboardEvent} event @returns {boolean} whether it did something */
  imageKey(event) {
    if (this.tool === "select" || !this.actions.mayDraw()) return false;
    const direction = ARROWS[event.key];
    if (direction) this.#step(direction, event.shiftKey);
    else if (event.key === " " && this.byKeys) this.#pressByKey();
    else if (event.key === "Enter" && this.byKeys && this.tool !== "polygon") this.#pressByKey();
    else return false;
    return true;
  }

  /** @param {Point} direction @param {boolean} fine one pixel of the image */
  #step([x, y], fine) {
    const { drawing, scale } = this.view;
    if (!drawing) return;
    const step = fine ? 1 : Math.max(Math.round(KEY_STEP / scale), 1);
    const from = this.at ?? [drawing.width / 2, drawing.height / 2];
    this.at = [
      Math.min(Math.max(from[0] + x * step, 0.5), drawing.width - 0.5),
      Math.min(Math.max(from[1] + y * step, 0.5), drawing.height - 0.5),
    ];
    this.byKeys = true;
    this.#moveTo(this.at);
    this.view.panTo([...this.at, 0, 0]);
    this.actions.redraw();
  }

  #pressByKey() {
    if (!this.at) return;
    const place = `column ${Math.round(this.at[0])}, row ${Math.round(this.at[1])}`;
    if (this.shape instanceof PolygonShape) this.shape.add(this.at);
    else if (this.shape) return this.#finish();
    else this.#press(this.at);
    if (this.tool === "polygon" && !this.shape) this.shape = this.#begun(new PolygonShape(this.at));
    this.actions.announce(this.tool === "polygon" ? `Corner at ${place}` : `Pen down at ${place}`);
    this.actions.redraw();
  }

  /** @param {Point} at */
  #press(at) {
    this.at = at;
    const { tool } = this;
    if (tool === "brush" || tool === "eraser") this.shape = this.#begun(new FreeShape("line", at, FINEST / this.view.scale));
    else if (tool === "lasso") this.shape = this.#begun(new FreeShape("area", at, (2 * FINEST) / this.view.scale));
    else if (tool !== "polygon") this.shape = this.#begun(new BoxShape(at));
    this.actions.redraw();
  }

  /** @template Shape @param {Shape} shape */
  #begun(shape) {
    this.actions.begin();
    return shape;
  }

  /** @param {Point} at */
  #moveTo(at) {
    this.at = at;
    this.shape?.move(at);
  }

  /** Place a corner of a polygon; a double click or the first corner closes it. @param {Point} at @param {PointerEvent} event */
  #corner(at, event) {
    const { shape, lastClick } = this;
    const isDouble = event.timeStamp - lastClick.time < DOUBLE_MS && isNear(lastClick, event);
    this.lastClick = { time: event.timeStamp, x: event.clientX, y: event.clientY };
    const reach = (event.pointerType === "touch" ? 2 : 1) * (CLOSE / this.view.scale);
    if (!(shape instanceof PolygonShape)) this.shape = this.#begun(new PolygonShape(at));
    else if ((isDouble && shape.finish()) || shape.closesAt(at, reach)) return this.#finish();
    else shape.add(at);
    this.actions.redraw();
  }

  /** @param {PointerEvent} event */
  #isClick(event) {
    return this.lastDown !== undefined && isNear(this.lastDown, event);
  }

  #finish() {
    const { shape, tool, actions } = this;
    const points = shape?.finish();
    if (shape instanceof PolygonShape && !points) return; // more corners are needed
    this.shape = null;
    if (!points) actions.redraw();
    else if (tool === "brush") actions.line(points);
    else if (tool === "eraser") actions.erase(points);
    else if (tool === "select") actions.pickInside(points[0], points[2]);
    else actions.area(points);
    actions.redraw();
  }

  /** @param {PointerEvent} event @returns {Point} in pixels of the image */
  #place(event) {
    return this.view.toImage(event.clientX, event.clientY);
  }
}

/** @param {{x: number, y: number}} last @param {PointerEvent} event */
const isNear = (last, event) => Math.hypot(event.clientX - last.x, event.clientY - last.y) <= CLICK;
