/** While the space bar is held, dragging pans whatever the tool. */

/** @param {import("../image_view.js").ImageView} view @param {() => boolean} isDrawing whether a tool draws */
export function holdSpaceToPan(view, isDrawing) {
  const hold = (/** @type {boolean} */ held) => {
    view.held = held;
    view.element.classList.toggle("held", held);
  };
  addEventListener("keydown", (event) => {
    const { activeElement: focused } = document;
    const isFree = !focused || focused === document.body || focused === view.element;
    if (event.key !== " " || event.defaultPrevented || !isFree || !isDrawing()) return;
    event.preventDefault();
    hold(true);
  });
  addEventListener("keyup", (event) => event.key === " " && hold(false));
  addEventListener("blur", () => hold(false));
}
