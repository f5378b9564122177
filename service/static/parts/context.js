/**
 * What the application offers to its pages and parts.
 *
 * @typedef {object} Context
 * @property {import("../lib/session.js").Session} session
 * @property {import("../lib/classes.js").Classes} classes
 * @property {import("../lib/edits.js").Edits} edits
 * @property {import("./exemplar_viewer.js").ExemplarViewer} viewer
 * @property {(text: string) => void} announce say something to screen readers alone
 * @property {(text: string) => void} notify show a message
 * @property {(error: unknown, subject?: string) => void} showProblem subject: such as the name of a file
 * @property {(hash: string) => void} navigate
 * @property {(hash: string, push: boolean) => void} setAddress change the address only; push: as a step of its own
 *   in the browser's history
 * @property {() => Promise<void>} undo revert the last edit of this page
 * @property {(edit: import("../lib/types.js").Edit) => Promise<void>} revert revert any edit
 */
export {};
