/** Buttons of which one is chosen: one stop of the Tab key, then arrow keys. */

/**
 * Give a group of radio buttons their roles and keys.
 * @param {HTMLElement} group
 * @param {() => HTMLButtonElement[]} buttons in their order
 */
export function addArrowKeys(group, buttons) {
  group.setAttribute("role", "radiogroup");
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const all = buttons();
    const at = all.findIndex((one) => one === document.activeElement);
    if (!step || at < 0) return;
    const next = all[(at + step + all.length) % all.length];
    next.focus();
    next.click();
    event.preventDefault();
    event.stopPropagation();
  });
}

/** Show which of the buttons is chosen. @param {HTMLButtonElement[]} buttons @param {number} chosen index; -1: none */
export function showChosen(buttons, chosen) {
  buttons.forEach((button, n) => {
    button.setAttribute("aria-checked", String(n === chosen));
    button.tabIndex = n === Math.max(chosen, 0) ? 0 : -1;
  });
}
