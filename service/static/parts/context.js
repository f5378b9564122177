/**
 * What the application offers to its pages and parts.
 *
 * @typedef {object} Context
 * @property {import("../lib/session.js").Session} session
 * @property {import("../lib/classes.js").Classes} classes
 * @property {import("../lib/releases.js").Releases} releases
 * @property {import("../lib/jobs.js").Jobs} jobs
 * @property {import("../lib/edits.js").Edits} edits
 * @property {import("../lib/batch.js").Batch} batch images that are segmented in the background
 * @property {import("../lib/images.js").Images} images
 * @property {{add: (files: File[]) => void}} gallery
 * @property {import("./exemplar_viewer.js").ExemplarViewer} viewer
 * @property {(text: string) => void} announce say something to screen readers alone
 * @property {(text: string) => void} notify show a message
 * @property {(error: unknown, subject?: string) => void} showProblem subject: such as the name of a file
 * @property {(hash: string) => void} navigate
 * @property {(hash: string, push: boolean) => void} setAddress change the address only; push: as a step of its own
 *   in the browser's history
 * @property {() => Promise<void>} undo revert the last edit of this page
 * @property {() => Promise<void>} redo make the last edit that was undone effective again
 * @property {(edit: import("../lib/types.js").Edit) => Promise<void>} revert revert any edit
 */
export {};
