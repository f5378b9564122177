/**
 * The types of the service's answers.
 *
 * @typedef {{size: [number, number], counts: string}} Mask COCO run lengths; size is [height, width]
 * @typedef {{class_id: number, name: string, color: string, exemplars?: number, origin?: "release"|"edit"}} ClassInfo
 * @typedef {{segment_id: string, class_id: number, class_name: string, confidence: number, known: boolean, area: number,
 *   bbox: [number, number, number, number], mask: Mask}} Segment
 * @typedef {{segment_id: string, before_segment_id: string, before: string, after: string}} Change
 * @typedef {{segmentation_id: string, width: number, height: number, release: string, index_revision: number,
 *   image_id?: string, image_url?: string|null, classes: ClassInfo[], segments: Segment[], relabelled_from?: string,
 *   changed?: Change[]}} Answer
 * @typedef {{exemplar_id: string, class_id: number, class_name: string, source: string, area: number,
 *   bbox: [number, number, number, number], mask?: Mask, strength?: number, similarity?: number, weight?: number,
 *   added_in?: number|null, removed_in?: number|null, author?: string|null, image_url: string, crop_url: string}} Exemplar
 * @typedef {{class_id: number, class_name: string, weight: number}} Share
 * @typedef {{segment_id: string, class_name: string, confidence: number, similarity: number, crop_url: string}} Similar
 * @typedef {Segment & {share: number, familiarity: number, vote: {k: number, kappa: number, classes: Share[]},
 *   exemplars: Exemplar[], reserve: Exemplar[], runner_up: (Share & {exemplars?: Exemplar[]})|null, margin: number,
 *   flip_set: string[]|null, boundary?: {distance_px: number, share: number,
 *   neighbours: {segment_id: string, class_name: string, share: number}[]}|null, similar?: Similar[],
 *   crop_url?: string|null, corrections?: {revision: number, class_name: string, author: string|null}[],
 *   release: string, index_revision: number}} Explanation
 * @typedef {{revision: number, kind: "add"|"label"|"remove"|"class"|"revert", release: string, author: string|null,
 *   reason: string|null, created: string, summary: string, exemplar_ids: string[], classes: unknown[],
 *   segment_id?: string|null, reverts?: number|null, reverted_by: number|null}} Edit
 * @typedef {{segment_id: string, before: string, after: string, image_url: string|null, crop_url: string,
 *   image_id?: string|null}} EffectSegment
 * @typedef {{segments: EffectSegment[], answers: number}} Effect
 * @typedef {{index_revision: number, edit: Edit|null, relabelled?: Answer|null, strength?: number}} Edited
 * @typedef {{segmentation_id: string, created: string, width: number, height: number, release: string,
 *   index_revision: number, segments: number, image_url: string|null, image_id?: string|null}} Recent
 * @typedef {{name: string, role: "reader"|"curator", keys: boolean}} Caller
 * @typedef {{exemplars: Exemplar[], total: number}} ExemplarList total: of all pages
 * @typedef {{miou?: number, pixel_accuracy?: number, per_class?: Record<string, number|null>}} Metrics each 0..1
 * @typedef {{name: string, active: boolean, created: string, description: string, problem: string|null, bundled: boolean,
 *   classes: number|null, exemplars: number|null, network: {name?: string, parameters?: number}|null,
 *   metrics: Record<string, Metrics>|null}} Release
 * @typedef {{after_restart: string|null}} Activated after_restart: the release that a restart would serve
 */
export {};
