/** Elements, made without ever parsing text as HTML. */

/**
 * An element. `class` sets its classes, `on` its listeners, `style` its properties (custom ones too), `dataset` its
 * data; a property of the element is set as such, anything else as an attribute. Text children stay text.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node|string|number|null|undefined|false|(Node|string|null|false)[])} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name === "class") element.className = value;
    else if (name === "on") for (const [event, does] of Object.entries(value)) element.addEventListener(event, does);
    else if (name === "style")
      for (const [key, one] of Object.entries(value)) element.style.setProperty(key, String(one));
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name in element && !name.startsWith("aria")) /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, String(value));
  }
  element.append(
    ...children
      .flat()
      .filter((child) => child !== null && child !== undefined && child !== false)
      .map((child) => (typeof child === "number" ? String(child) : /** @type {any} */ (child))),
  );
  return element;
}

const PATHS = {
  upload: "M12 16V4m0 0-5 5m5-5 5 5M4 17v2a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-2",
  close: "M6 6l12 12M18 6 6 18",
  undo: "M9 7 4 12l5 5M4 12h10a6 6 0 0 1 6 6v1",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V5a1 1 0 0 1 1-1h4M15 4h4a1 1 0 0 1 1 1v4M20 15v4a1 1 0 0 1-1 1h-4M9 20H5a1 1 0 0 1-1-1v-4",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  check: "M5 12.5 10 17 19 7",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  down: "M6 10l6 6 6-6",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  stack: "M12 4 3 9l9 5 9-5zM3 14l9 5 9-5",
  log: "M12 7v5l3 2M4 12a8 8 0 1 0 2.5-5.8L4 8.5M4 4v4.5h4.5",
  box: "M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8",
  key: "M14 10a4 4 0 1 0-3.5 4L12 12.5h2v2h2v2h3v-3zM9 9h.01",
  theme: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  help: "M9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M12 17h.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
  search: "M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM20 20l-4.5-4.5",
  alert: "M12 8v5M12 16.5h.01M12 3 2.5 20h19z",
  link: "M10 14 20 4M14 4h6v6M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5",
  download: "M12 4v11m0 0-4-4m4 4 4-4M5 19h14",
  edit: "M5 19h3L19 8l-3-3L5 16zM14 7l3 3",
  outline: "M4 8l7-4 9 5-2 9-9 2-5-5zM11 4v7l7 7M11 11l-7 4",
};

/**
 * A line drawing; it says nothing to a screen reader.
 * @param {keyof typeof PATHS} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A small square of a class's colour. @param {string} color @param {boolean} [unknown] */
export const swatch = (color, unknown = false) =>
  h("span", { class: unknown ? "swatch unknown" : "swatch", style: { "--c": color }, "aria-hidden": "true" });

/**
 * A button with a drawing and, unless it is only shown to screen readers, its name.
 * @param {keyof typeof PATHS} drawing
 * @param {string} name
 * @param {Record<string, any>} props
 */
export function iconButton(drawing, name, props = {}) {
  return h(
    "button",
    {
      type: "button",
      ...props,
      class: `icon-button ${props.class ?? ""}`,
      "aria-label": name,
      title: props.title ?? name,
    },
    icon(drawing),
  );
}

/** @param {number} share 0..1 @returns {string} "0.4 %", "12 %" */
export function percent(share) {
  const value = share * 100;
  return `${value > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} %`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** @param {string} iso @returns {string} how long ago, in words */
export function ago(iso) {
  const then = new Date(/[Z+]|-\d\d:\d\d$/.test(iso.slice(10)) ? iso : `${iso}Z`);
  const seconds = (Date.now() - then.getTime()) / 1000;
  const steps = /** @type {[number, Intl.RelativeTimeFormatUnit][]} */ ([
    [86400, "day"],
    [3600, "hour"],
    [60, "minute"],
  ]);
  for (const [size, unit] of steps)
    if (seconds >= size)
      return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(-Math.floor(seconds / size), unit);
  return "just now";
}

/**
 * Mark an element as the current one of its kind, or not.
 * @param {Element} element
 * @param {boolean} is
 * @param {string} [as]
 */
export function current(element, is, as = "true") {
  if (is) element.setAttribute("aria-current", as);
  else element.removeAttribute("aria-current");
}

/** Whether a key belongs to what is being typed. @param {EventTarget|null} target */
export const isTyping = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    /^(TEXTAREA|SELECT)$/.test(target.tagName) ||
    (target instanceof HTMLInputElement && !/^(range|checkbox|radio|color|button)$/.test(target.type)));
