/** The routes of the service, one function a route. All throw `Problem`. */

import { request, requestFile, upload, url } from "./http.js";

/**
 * @typedef {import("./types.js").AcceptedJob} AcceptedJob
 * @typedef {import("./types.js").ActivatedRelease} ActivatedRelease
 * @typedef {import("./types.js").Answer} Answer
 * @typedef {import("./types.js").AnswerSummary} AnswerSummary
 * @typedef {import("./types.js").Audit} Audit
 * @typedef {import("./types.js").Caller} Caller
 * @typedef {import("./types.js").ClassChanged} ClassChanged
 * @typedef {import("./types.js").Comparison} Comparison
 * @typedef {import("./types.js").ClusterList} ClusterList
 * @typedef {import("./types.js").Edit} Edit
 * @typedef {import("./types.js").Edited} Edited
 * @typedef {import("./types.js").Effect} Effect
 * @typedef {import("./types.js").Exemplar} Exemplar
 * @typedef {import("./types.js").ExemplarList} ExemplarList
 * @typedef {import("./types.js").ExemplarPreview} ExemplarPreview
 * @typedef {import("./types.js").ExemplarsRelabelled} ExemplarsRelabelled
 * @typedef {import("./types.js").Explanation} Explanation
 * @typedef {import("./types.js").Imported} Imported
 * @typedef {import("./types.js").Marked} Marked
 * @typedef {import("./types.js").MarksBody} MarksBody
 * @typedef {import("./types.js").MarksPreview} MarksPreview
 * @typedef {import("./types.js").Job} Job
 * @typedef {import("./types.js").NewAnswer} NewAnswer
 * @typedef {import("./types.js").OfferedClass} OfferedClass
 * @typedef {import("./types.js").RelabelledAnswer} RelabelledAnswer
 * @typedef {import("./types.js").ReleaseSummary} ReleaseSummary
 * @typedef {import("./types.js").SegmentLabelled} SegmentLabelled
 * @typedef {import("./types.js").Survey} Survey
 * @typedef {import("./types.js").SuggestionList} SuggestionList
 * @typedef {import("./types.js").SegmentMark} SegmentMark
 * @typedef {import("./types.js").SegmentsLabelled} SegmentsLabelled
 */
/** @typedef {"all"|"image"} Scope whether marks vote in every image, or only in their own */
/** @typedef {{class_id: number}|{class_name: string}} ClassChoice a known class, or the name of a new one */

const id = encodeURIComponent;

/**
 * Segment an image.
 * @param {Blob} file
 * @param {(share: number|null) => void} progress share that is sent, 0..1; null: sent, being segmented
 * @param {AbortSignal} signal
 * @param {{segments: number|null, page: number}} options segments: that pixel sorting starts with; null: the release's
 *   own number; page: of a file with several pages, from 0
 * @returns {Promise<NewAnswer>}
 */
export const segment = (file, progress, signal, { segments, page }) =>
  upload(`/segment?exemplars=0&page=${page}${segments ? `&segments=${segments}` : ""}`, file, progress, signal);

/** @param {number} limit @returns {Promise<AnswerSummary[]>} the newest first */
export const listSegmentations = (limit) => request("GET", `/segmentations?limit=${limit}`);
/**
 * Segment one image of many: the answer has neither masks nor exemplars.
 * @param {Blob} file
 * @param {number} page of the file, from 0
 * @param {(share: number|null) => void} progress share that is sent, 0..1; null: sent, being segmented
 * @param {AbortSignal} signal
 * @returns {Promise<NewAnswer>}
 */
export const segmentInBatch = (file, page, progress, signal) =>
  upload(`/segment?exemplars=0&masks=none&page=${page}`, file, progress, signal);

/**
 * Bring the labels of a stored image up to date. The answer has neither masks nor exemplars.
 * @param {string} segmentationId of its newest answer
 * @param {boolean} again whether it is segmented again, because another release is served now; false: its segments stay
 * @param {AbortSignal} signal
 * @returns {Promise<NewAnswer|RelabelledAnswer>}
 */
export const updateLabels = (segmentationId, again, signal) =>
  request(
    "POST",
    `/segmentations/${id(segmentationId)}/${again ? "segment" : "relabel"}?exemplars=0&masks=none`,
    undefined,
    signal,
  );

/**
 * The newest answer of each image, the newest first.
 * @param {number} limit
 * @param {string|null} [before] only those before this answer
 * @returns {Promise<AnswerSummary[]>}
 */
export const listImages = (limit, before = null) =>
  request("GET", `/segmentations?latest=true&limit=${limit}${before === null ? "" : `&before=${id(before)}`}`);
/** @param {string} segmentationId @returns {Promise<Answer>} without exemplars */
export const getSegmentation = (segmentationId) => request("GET", `/segmentations/${id(segmentationId)}?exemplars=0`);
/** @param {string} segmentationId @returns {Promise<Answer>} with the exemplars of each segment */
export const getFullSegmentation = (segmentationId) => request("GET", `/segmentations/${id(segmentationId)}`);
/** @param {string} segmentationId @returns {Promise<RelabelledAnswer>} the same segments with the labels of now */
export const relabel = (segmentationId) => request("POST", `/segmentations/${id(segmentationId)}/relabel`);
/** @param {string} segmentationId */
export const imageUrl = (segmentationId) => url(`/segmentations/${id(segmentationId)}/image`);

/** A rendering of an image by the service. @param {string} imageUrl @param {number} size pixels of the longer side */
export const thumbnailUrl = (imageUrl, size) => `${imageUrl}?size=${size}`;
/**
 * Delete an image: all answers that the caller has of it, and its file.
 * @param {string} segmentationId of one of the answers
 * @returns {Promise<null>}
 */
export const deleteImage = (segmentationId) => request("DELETE", `/segmentations/${id(segmentationId)}?image=true`);

/**
 * Keep an answer whatever the retention, or no longer.
 * @param {string} segmentationId
 * @param {boolean} pinned
 * @returns {Promise<null>}
 */
export const setPinned = (segmentationId, pinned) => request(pinned ? "PUT" : "DELETE", `/segmentations/${id(segmentationId)}/pin`);

/**
 * Labels of several images in the format of another tool.
 * @param {string[]} ids of answers
 * @param {Record<string, string>} names of the image files in the export, by the ids of answers
 * @param {{format: string, images: boolean, single: boolean, join: boolean}} choice images: with their files; single: as one
 *   file; join: touching segments of a class are one object
 */
export const exportSelection = (ids, names, choice) =>
  requestFile("/export", { segmentation_ids: ids, names, ...choice });

/** @param {string} segmentId @returns {Promise<Explanation>} */
export const explain = (segmentId) => request("GET", `/explain/${id(segmentId)}`);
/** The explanation as a page to print. @param {string} segmentId */
export const explanationUrl = (segmentId) => url(`/explain/${id(segmentId)}`);
/** @param {string} segmentId @param {ClassChoice} choice @returns {Promise<SegmentLabelled>} */
export const labelSegment = (segmentId, choice) => request("POST", `/segments/${id(segmentId)}/label`, choice);

/**
 * Make exemplars of marked parts of an answer, in one edit.
 * @param {string} segmentationId
 * @param {MarksBody} marks
 * @returns {Promise<Marked>}
 */
export const mark = (segmentationId, marks) =>
  request("POST", `/segmentations/${id(segmentationId)}/marks?exemplars=0`, marks);
/**
 * What marks would change, here and in other recent images. Nothing is written.
 * @param {string} segmentationId
 * @param {MarksBody} marks
 * @param {number} [elsewhere] largest number of other images
 * @param {AbortSignal|null} [signal] aborts the request
 * @returns {Promise<MarksPreview>}
 */
export const preview = (segmentationId, marks, elsewhere = 8, signal = null) =>
  request("POST", `/segmentations/${id(segmentationId)}/preview?exemplars=0&elsewhere=${elsewhere}`, marks, signal);
/**
 * Label segments of one or several answers, in one edit.
 * @param {SegmentMark[]} labels
 * @param {Scope} [scope]
 * @returns {Promise<SegmentsLabelled>}
 */
export const labelSegments = (labels, scope = "all") => request("POST", "/segments/labels", { labels, scope });

/**
 * Similar unknown segments of recent images, in groups.
 * @param {"unknown"|"unsure"} which
 * @returns {Promise<ClusterList>}
 */
export const listClusters = (which) => request("GET", `/clusters?which=${which}`);
/**
 * Images to label next.
 * @param {number} limit
 * @param {string|null} [skip] id of an answer whose image is not wanted
 * @returns {Promise<SuggestionList>}
 */
export const listSuggestions = (limit, skip = null) =>
  request("GET", `/suggestions?limit=${limit}${skip === null ? "" : `&skip=${id(skip)}`}`);

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

/** @typedef {{exemplar_id: string, class_name: string}} NewLabel */
/** @typedef {{remove?: string[], relabel?: NewLabel[]}} ExemplarChange */
/** @param {NewLabel[]} labels @returns {Promise<ExemplarsRelabelled>} */
export const relabelExemplars = (labels) => request("POST", "/exemplars/labels", { labels });
/** What an edit of exemplars would change in recent images. @param {ExemplarChange} change @returns {Promise<ExemplarPreview>} */
export const previewExemplars = (change) => request("POST", "/exemplars/preview", change);
/** Exemplars that are worth a look. @param {URLSearchParams} query @returns {Promise<Audit>} */
export const auditExemplars = (query) => request("GET", `/exemplars/audit?${query}`);

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
/** @param {string} name @returns {Promise<import("./types.js").Job>} */
export const carryEdits = (name) => request("POST", `/releases/${id(name)}/carry`, {});
/** @param {string} name @returns {Promise<ActivatedRelease>} */
export const activateRelease = (name) => request("POST", `/releases/${id(name)}/activate`);

/** @param {string} name @param {string} features release whose features it uses @returns {Promise<ReleaseSummary>} */
export const makeRelease = (name, features) => request("POST", "/releases", { name, features });

/** Fit the served release to its marks, as a job. @param {{activate: "never"|"if_better"|"always"}} how @returns {Promise<Job>} */
export const adapt = (how) => request("POST", "/adapt", how);
/** Label stored images with two releases. @param {string} a @param {string} b @param {string[]} segmentations @returns {Promise<Comparison>} */
export const compareReleases = (a, b, segmentations) => request("POST", "/releases/compare", { a, b, segmentations });
/**
 * Send labelled images, and learn what is in them.
 * @param {Blob} archive
 * @param {(share: number|null) => void} progress share that is sent, 0..1; null: sent, being read
 * @param {AbortSignal} signal
 * @returns {Promise<Survey>}
 */
export const surveyLabelled = (archive, progress, signal) => upload("/releases/survey", archive, progress, signal);
/** @param {string} surveyId @returns {Promise<Survey>} */
export const getSurvey = (surveyId) => request("GET", `/releases/survey/${id(surveyId)}`);
/** @param {string} surveyId @returns {Promise<null>} */
export const removeSurvey = (surveyId) => request("DELETE", `/releases/survey/${id(surveyId)}`);
/**
 * Build a release from labelled images, as a job.
 * @param {{survey_id: string, name: string, classes: Record<string, string|null>, features: string}} what
 * @returns {Promise<Job>}
 */
export const buildRelease = (what) => request("POST", "/releases/build", what);
/** @param {number} limit @returns {Promise<Job[]>} the newest first */
export const listJobs = (limit) => request("GET", `/jobs?limit=${limit}`);
/** @param {string} jobId @returns {Promise<Job>} */
export const cancelJob = (jobId) => request("POST", `/jobs/${id(jobId)}/cancel`);
/** Delete a job of images with its result. @param {string} jobId @returns {Promise<null>} */
export const deleteJob = (jobId) => request("DELETE", `/jobs/${id(jobId)}`);
/** The address of the result of a job of images. @param {string} jobId */
export const resultUrl = (jobId) => url(`/jobs/${id(jobId)}/result`);
/**
 * Segment many images as a job in the background.
 * @param {File[]} files
 * @param {(share: number|null) => void} progress share that is sent, 0..1; null: sent, being looked at
 * @param {AbortSignal} signal
 * @returns {Promise<Job>}
 */
export function segmentInBackground(files, progress, signal) {
  const form = new FormData();
  for (const file of files) form.append("images", file, file.name);
  return upload("/jobs/segment", form, progress, signal);
}
/** Serve the new release of a job, with the edits made meanwhile. @param {string} jobId @returns {Promise<AcceptedJob>} */
export const acceptJob = (jobId) => request("POST", `/jobs/${id(jobId)}/accept`);

/** @returns {Promise<Caller>} */
export const getCaller = () => request("GET", "/me");
/** @param {string} key @returns {Promise<Caller>} */
export const signIn = (key) => request("POST", "/session", { key });
/** @returns {Promise<null>} */
export const signOut = () => request("DELETE", "/session");
