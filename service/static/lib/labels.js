/** Labels and how sure they are, in words. An unknown segment has no sureness: its class is only the nearest one. */

import { percent } from "./format.js";

/** @typedef {{class_name: string|null, known: boolean, confidence: number|null}} Labelled */
/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").LabelChange} LabelChange */
/** @typedef {import("./types.js").RelabelledAnswer} RelabelledAnswer */

const UNKNOWN = "unknown";

/** The name of a class; "unknown" without a class. @param {string|null} name */
export const nameOf = (name) => name ?? UNKNOWN;

/** The label that a person sees: the class of a known segment; null for "unknown". @param {Pick<Labelled, "class_name"|"known">} segment */
export const shownLabel = ({ class_name: name, known }) => (known ? name : null);

/** The class of that label; null for "unknown". @param {{class_id: number|null, known: boolean}} segment */
export const shownClass = ({ class_id: id, known }) => (known ? id : null);

/** The label of a segment: "road", "unknown, nearest: road", or "unknown" while nothing is taught. @param {Pick<Labelled, "class_name"|"known">} segment */
export function labelOf({ class_name: name, known }) {
  if (known || name === null) return nameOf(name);
  return `${UNKNOWN}, nearest: ${name}`;
}

/**
 * Whether a person sees a change. A segment that had no class and is still unknown has got only a nearest class.
 * @param {string|null} before @param {string|null} after @param {boolean} known whether the label with a class is known
 */
export const isVisible = (before, after, known) => known || (before !== null && after !== null);

/**
 * The changes that a person sees after relabelling: of labels, and between known and unknown.
 * @param {Answer} before
 * @param {RelabelledAnswer} after with the same segments, or with some of them divided
 * @returns {LabelChange[]} null in place of a name: unknown
 */
export function shownChanges(before, after) {
  const earlier = new Map(before.segments.map((one) => [one.segment_id, one]));
  const origins = new Map(after.changed.map((one) => [one.segment_id, earlier.get(one.before_segment_id)]));
  const same = before.segments.length === after.segments.length;
  return after.segments.flatMap((now, n) => {
    const then = same ? before.segments[n] : origins.get(now.segment_id);
    if (!then || shownLabel(then) === shownLabel(now)) return [];
    const change = { before: shownLabel(then), after: shownLabel(now) };
    return [{ segment_id: now.segment_id, before_segment_id: then.segment_id, ...change }];
  });
}

/** How sure the label is: "98 % confident", "confidence not calibrated yet", or "" if the segment is unknown. @param {Labelled} segment */
export function sureness({ known, confidence }) {
  if (!known) return "";
  return confidence === null ? "confidence not calibrated yet" : `${percent(confidence)} confident`;
}
