/** Labels and how sure they are, in words. An unknown segment has no sureness: its class is only the nearest one. */

import { percent } from "./format.js";

/** @typedef {{class_name: string|null, known: boolean, confidence: number|null}} Labelled */

const UNKNOWN = "unknown";

/** The name of a class; "unknown" without a class. @param {string|null} name */
export const nameOf = (name) => name ?? UNKNOWN;

/** The label of a segment: "road", "unknown, nearest: road", or "unknown" while nothing is taught. @param {Labelled} segment */
export function labelOf({ class_name: name, known }) {
  if (known || name === null) return nameOf(name);
  return `${UNKNOWN}, nearest: ${name}`;
}

/**
 * Whether a person sees a change. A segment that had no class and is still unknown has got only a nearest class.
 * @param {string|null} before @param {string|null} after @param {boolean} known whether the label with a class is known
 */
export const isVisible = (before, after, known) => known || (before !== null && after !== null);

/** How sure the label is: "98 % confident", "confidence not calibrated yet", or "" if the segment is unknown. @param {Labelled} segment */
export function sureness({ known, confidence }) {
  if (!known) return "";
  return confidence === null ? "confidence not calibrated yet" : `${percent(confidence)} confident`;
}
