/** The routes of the service, one function a route. All throw `Problem`. */

import { request, upload, url } from "./http.js";

/**
 * @typedef {import("./types.js").ActivatedRelease} ActivatedRelease
 * @typedef {import("./types.js").Answer} Answer
 * @typedef {import("./types.js").AnswerSummary} AnswerSummary
 * @typedef {import("./types.js").Caller} Caller
 * @typedef {import("./types.js").ClassChanged} ClassChanged
 * @typedef {import("./types.js").Edit} Edit
 * @typedef {import("./types.js").Edited} Edited
 * @typedef {import("./types.js").Effect} Effect
 * @typedef {import("./types.js").Exemplar} Exemplar
 * @typedef {import("./types.js").ExemplarList} ExemplarList
 * @typedef {import("./types.js").Explanation} Explanation
 * @typedef {import("./types.js").Imported} Imported
 * @typedef {import("./types.js").NewAnswer} NewAnswer
 * @typedef {import("./types.js").OfferedClass} OfferedClass
 * @typedef {import("./types.js").RelabelledAnswer} RelabelledAnswer
 * @typedef {import("./types.js").ReleaseSummary} ReleaseSummary
 * @typedef {import("./types.js").SegmentLabelled} SegmentLabelled
 */
/** @typedef {{class_id: number}|{class_name: string}} ClassChoice a known class, or the name of a new one */

const id = encodeURIComponent;

/**
 * Segment an image.
 * @param {Blob} file
 * @param {(share: number|null) => void} progress share that is sent, 0..1; null: sent, being segmented
 * @param {AbortSignal} signal
 * @param {number|null} segments that pixel sorting starts with; null: the release's own number
 * @returns {Promise<NewAnswer>}
 */
export const segment = (file, progress, signal, segments) =>
  upload(`/segment?exemplars=0${segments ? `&segments=${segments}` : ""}`, file, progress, signal);

/** @param {number} limit @returns {Promise<AnswerSummary[]>} the newest first */
export const listSegmentations = (limit) => request("GET", `/segmentations?limit=${limit}`);
/** @param {string} segmentationId @returns {Promise<Answer>} without exemplars */
export const getSegmentation = (segmentationId) => request("GET", `/segmentations/${id(segmentationId)}?exemplars=0`);
/** @param {string} segmentationId @returns {Promise<Answer>} with the exemplars of each segment */
export const getFullSegmentation = (segmentationId) => request("GET", `/segmentations/${id(segmentationId)}`);
/** @param {string} segmentationId @returns {Promise<RelabelledAnswer>} the same segments with the labels of now */
export const relabel = (segmentationId) => request("POST", `/segmentations/${id(segmentationId)}/relabel`);
/** @param {string} segmentationId */
export const imageUrl = (segmentationId) => url(`/segmentations/${id(segmentationId)}/image`);

/** The answer in the format of another tool. @param {string} segmentationId @param {string} format */
export const exportUrl = (segmentationId, format) =>
  url(`/export?segmentation_id=${id(segmentationId)}&format=${id(format)}`);

/** @param {string} segmentId @returns {Promise<Explanation>} */
export const explain = (segmentId) => request("GET", `/explain/${id(segmentId)}`);
/** The explanation as a page to print. @param {string} segmentId */
export const explanationUrl = (segmentId) => url(`/explain/${id(segmentId)}`);
/** @param {string} segmentId @param {ClassChoice} choice @returns {Promise<SegmentLabelled>} */
export const labelSegment = (segmentId, choice) => request("POST", `/segments/${id(segmentId)}/label`, choice);

/** @param {URLSearchParams} query @returns {Promise<ExemplarList>} */
export const listExemplars = (query) => request("GET", `/exemplars?${query}`);
/** @param {string} exemplarId @returns {Promise<Exemplar>} with its mask */
export const getExemplar = (exemplarId) => request("GET", `/exemplars/${id(exemplarId)}`);
/** @param {string} exemplarId */
export const cropUrl = (exemplarId) => url(`/exemplars/${id(exemplarId)}/crop`);
/**
 * Add the labelled images of a ZIP archive.
 * @param {Blob} file
 * @param {(share: number|null) => void} progress share that is sent, 0..1; null: sent, being read
 * @param {AbortSignal} signal
 * @returns {Promise<Imported>}
 */
export const importArchive = (file, progress, signal) => upload("/import", file, progress, signal);
/** @param {string[]} exemplarIds @returns {Promise<Edited>} */
export const removeExemplars = (exemplarIds) =>
  exemplarIds.length === 1
    ? request("DELETE", `/exemplars/${id(exemplarIds[0])}`)
    : request("POST", "/exemplars/remove", { exemplar_ids: exemplarIds });

/** @returns {Promise<OfferedClass[]>} */
export const listClasses = () => request("GET", "/classes");
/**
 * Make a class, or change the one of `class_id`.
 * @param {{class_id?: number, name?: string, color?: string}} change
 * @returns {Promise<ClassChanged>}
 */
export const saveClass = (change) => request("POST", "/classes", change);

/**
 * The edits, newest first.
 * @param {number} limit
 * @param {number|null} [before] only those of a smaller number
 * @returns {Promise<Edit[]>}
 */
export const listEdits = (limit, before = null) =>
  request("GET", `/edits?limit=${limit}${before === null ? "" : `&before=${before}`}`);
/** @param {number} revision @param {number} recent answers to look through @returns {Promise<Effect>} */
export const getEffect = (revision, recent = 50) => request("GET", `/edits/${revision}/effect?recent=${recent}`);
/** @param {number} revision @returns {Promise<Edited>} */
export const revertEdit = (revision) => request("POST", `/edits/${revision}/revert`, {});

/** @returns {Promise<ReleaseSummary[]>} */
export const listReleases = () => request("GET", "/releases");
/** @param {string} name @returns {Promise<ActivatedRelease>} */
export const activateRelease = (name) => request("POST", `/releases/${id(name)}/activate`);

/** @returns {Promise<Caller>} */
export const getCaller = () => request("GET", "/me");
/** @param {string} key @returns {Promise<Caller>} */
export const signIn = (key) => request("POST", "/session", { key });
/** @returns {Promise<null>} */
export const signOut = () => request("DELETE", "/session");
