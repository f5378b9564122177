/** Creating and marking elements. No text is ever parsed as HTML. */

/**
 * @typedef {Node|string|number|null|undefined|false} Child null, undefined and false add nothing
 * @typedef {{[Name in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[Name]) => unknown}} Listeners
 * @typedef {{class?: string, on?: Listeners, style?: Record<string, string|number>,
 *   dataset?: Record<string, string|number>, [property: string]: unknown}} Properties
 */

/**
 * Create an element. `class` sets its classes, `on` its listeners, `style` its style properties (custom ones too),
 * `dataset` its data attributes. Any other name sets the property of that name, or else the attribute.
 * Properties that are null or undefined are left out. Strings become text nodes.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Properties} [properties]
 * @param {...(Child|Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  const { class: classes, on, style, dataset, ...others } = properties;
  if (classes) element.className = classes;
  for (const [event, listener] of Object.entries(on ?? {}))
    element.addEventListener(event, /** @type {EventListener} */ (listener));
  for (const [name, value] of Object.entries(style ?? {})) element.style.setProperty(name, String(value));
  for (const [name, value] of Object.entries(dataset ?? {})) element.dataset[name] = String(value);
  for (const [name, value] of Object.entries(others)) setProperty(element, name, value);
  element.append(...children.flat().filter(isPresent).map(toNode));
  return element;
}

/** @param {Element} element @param {string} name @param {unknown} value */
function setProperty(element, name, value) {
  if (value === undefined || value === null) return;
  if (name in element && !name.startsWith("aria")) Reflect.set(element, name, value);
  else element.setAttribute(name, String(value));
}

/** @param {Child} child @returns {child is Node|string|number} */
const isPresent = (child) => child !== null && child !== undefined && child !== false;

/** @param {Node|string|number} child */
const toNode = (child) => (typeof child === "number" ? String(child) : child);

/**
 * A button with text, and with an icon where one is given as a child.
 * @param {Properties} properties
 * @param {...Child} children
 */
export const button = (properties, ...children) =>
  h("button", { type: "button", ...properties, class: `button ${properties.class ?? ""}`.trim() }, ...children);

/** The 2D context of a canvas. @param {HTMLCanvasElement} canvas @throws {Error} where the browser has none left */
export function context2d(canvas) {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("The browser cannot draw: close some of its tabs and load this page again.");
  return context;
}

/**
 * Mark an element as the current one among its siblings, or not.
 * @param {Element} element
 * @param {boolean} isCurrent
 * @param {string} [kind] value of aria-current
 */
export function markCurrent(element, isCurrent, kind = "true") {
  if (isCurrent) element.setAttribute("aria-current", kind);
  else element.removeAttribute("aria-current");
}

/** Whether a key pressed in this element types text. @param {EventTarget|null} target */
export const isTextField = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    /^(TEXTAREA|SELECT)$/.test(target.tagName) ||
    (target instanceof HTMLInputElement && !/^(range|checkbox|radio|color|button)$/.test(target.type)));
