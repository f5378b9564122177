/** Canvases that are moved instead of drawn while the user zooms or pans, where drawing takes longer than a frame. */

/** @typedef {{scale: number, x: number, y: number}} View position of the image, in canvas pixels */

const SLOW = 24; // milliseconds from a drawing to the next frame, above which canvases are moved
const REST = 120; // milliseconds after the last movement until they are drawn again
const LONGEST = 600; // milliseconds of movement until they are drawn in between

export class SwiftLayer {
  /** @param {HTMLCanvasElement[]} canvases @param {() => void} redraw */
  constructor(canvases, redraw) {
    this.canvases = canvases;
    for (const canvas of canvases) canvas.style.transformOrigin = "0 0";
    this.redraw = redraw;
    /** @type {View|null} how the canvases were drawn last */
    this.drawn = null;
    this.drawnAt = 0;
    this.cost = 0; // milliseconds of the last drawing
    this.restless = 0; // until when they are moved
    this.timer = 0;
  }

  /** The user zooms or pans. */
  moving() {
    this.restless = performance.now() + REST;
  }

  /**
   * Move the canvases to a view, if they are to be moved now.
   * @param {View} view
   * @returns {boolean} false: they are to be drawn
   */
  move(view) {
    const now = performance.now();
    const { drawn } = this;
    if (!drawn || this.cost < SLOW || now > this.restless || now - this.drawnAt > LONGEST) return false;
    const scale = view.scale / drawn.scale;
    const ratio = devicePixelRatio || 1;
    const [x, y] = [(view.x - drawn.x * scale) / ratio, (view.y - drawn.y * scale) / ratio];
    this.#transform(`translate(${x}px, ${y}px) scale(${scale})`);
    clearTimeout(this.timer);
    this.timer = setTimeout(this.redraw, REST);
    return true;
  }

  /** Draw the canvases, and measure how long it takes. @param {View} view @param {() => void} draw */
  draw(view, draw) {
    clearTimeout(this.timer);
    this.#transform("");
    this.drawn = view;
    this.drawnAt = performance.now();
    draw();
    const began = this.drawnAt; // browsers draw after the script, so the next frame tells
    requestAnimationFrame(() => (this.cost = performance.now() - began));
  }

  /** @param {string} transform */
  #transform(transform) {
    for (const canvas of this.canvases) canvas.style.transform = transform;
  }
}
