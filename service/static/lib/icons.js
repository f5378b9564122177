/** The line icons of the page. */

/** Outlines by name, on a square of 24 by 24. */
const PATHS = {
  upload: "M12 16V4m0 0-5 5m5-5 5 5M4 17v2a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-2",
  close: "M6 6l12 12M18 6 6 18",
  undo: "M9 7 4 12l5 5M4 12h10a6 6 0 0 1 6 6v1",
  redo: "M15 7l5 5-5 5M20 12H10a6 6 0 0 0-6 6v1",
  select: "M6 3.5v15l4-3.8 2.6 6 2.8-1.2-2.6-5.9h5.6z",
  brush: "M19.5 4.5c-3 1-7.5 5-9.5 8l2 2c3-2 7-6.5 7.5-10zM9 13.500c-2.5 0-3.5 1.5-3.5 3.5 0 1.5-.8 2.3-2 2.8 1.2.8 2.5 1.2 4 1.2 3 0 4.5-2 4.5-4.500z",
  eraser: "M8.5 19.5 4 15l9.5-9.5 6 6-8 8zM8.5 19.500H20M9 10l6 6",
  lasso: "M7 16.500C4.5 15.3 3 13.3 3 11c0-3.9 4-7 9-7s9 3.1 9 7-4 7-9 7c-1 0-2-.1-2.9-.3M7 14.500a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM7 18.500c0 1.5-.5 2.5-2 3",
  polygon: "M12 4.5 20 10l-3 9H7l-3-9zM12 3.500v2M19.3 9.300l1.4 1.400M16.3 18.300l1.4 1.400M6.3 19.700l1.4-1.400M3.3 10.700l1.4-1.4",
  rectangle: "M4.5 6.500h15v11h-15zM3.5 5.500h2v2h-2zM18.5 5.500h2v2h-2zM3.5 16.500h2v2h-2zM18.5 16.500h2v2h-2z",
  several: "M4 4h10v10H4zM10 17v3h10V10h-3M7 9l1.5 1.500L11.5 7",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V5a1 1 0 0 1 1-1h4M15 4h4a1 1 0 0 1 1 1v4M20 15v4a1 1 0 0 1-1 1h-4M9 20H5a1 1 0 0 1-1-1v-4",
  pin: "M12 16v5M8 4h8l-1 6 3 3v2H6v-2l3-3z",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  check: "M5 12.5 10 17 19 7",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  down: "M6 10l6 6 6-6",
  up: "M4 17l6-6 4 4 6-8M15 7h5v5",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  images: "M8 4h12v12H8zM8 13l3-3 3 3 2-2 4 3M4 8v12h12",
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
  gauge: "M4 18a8 8 0 1 1 16 0M12 18l4-6M4 18h2M18 18h2M12 10V8",
  groups: "M7 5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM17 8a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM10 14a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
  outline: "M4 8l7-4 9 5-2 9-9 2-5-5zM11 4v7l7 7M11 11l-7 4",
};

/** @typedef {keyof typeof PATHS} IconName */

/**
 * An icon, hidden from screen readers.
 * @param {IconName} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = svgElement("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" });
  svg.append(svgElement("path", { d: PATHS[name] }));
  return svg;
}

/** The logo: a circle of three segments. */
export function logo() {
  const svg = svgElement("svg", { viewBox: "0 0 24 24", class: "logo", "aria-hidden": "true" });
  for (const [d, name] of [
    ["M12 12V2a10 10 0 0 1 8.66 15z", "a"],
    ["M12 12l8.66 5A10 10 0 0 1 3.34 17z", "b"],
    ["M12 12l-8.66 5A10 10 0 0 1 12 2z", "c"],
  ])
    svg.append(svgElement("path", { d, class: name }));
  return svg;
}

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} attributes
 */
function svgElement(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
