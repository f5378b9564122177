/** Requests to the service, and the problems that it answers with. */

import { Emitter } from "./emitter.js";

/**
 * @typedef {object} ProblemBody of RFC 9457
 * @property {string} [detail]
 * @property {unknown} [allowed]
 * @property {string} [fix]
 */

/** What a person can do where the service's advice names requests, which only callers of the API know. */
const ADVICE = /** @type {Record<number, string>} */ ({
  404: "It is not stored any more, or the address is wrong. Segment the image again.",
  409: "Another edit is in the way. Revert the later edits first, on the page Edits.",
  410: "It is not stored any more. Segment the image again.",
  429: "Wait a few seconds, then try again.",
  503: "Wait a few seconds, then try again.",
});
const NAMES_A_REQUEST = /\b(GET|POST|PUT|DELETE) \/|`/;
const OFFLINE = { detail: "The service cannot be reached.", fix: "Check that it is running, then try again." };

const BASE = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

/** The address of a path of the service, which a proxy may publish below another path. @param {string} path "/..." */
export const url = (path) => BASE + path;

/** Addresses of files with a hash of their content, by path below /static; the service writes them into the page. */
const HASHED = /** @type {Record<string, string>} */ (JSON.parse(document.getElementById("files")?.textContent || "{}"));

/** The address of a file of the page, such as a sample image. @param {string} path below /static */
export const fileUrl = (path) => url(`/static/${HASHED[path] ?? path}`);

/** A refusal by the service, or its silence (status 0). The message says what happened. */
export class Problem extends Error {
  /** @param {number} status @param {ProblemBody} body @param {number|null} [retryAfter] seconds to wait, if it says so */
  constructor(status, body, retryAfter = null) {
    super(body.detail ?? "The service did not answer.");
    this.status = status;
    this.allowed = body.allowed;
    this.fix = body.fix ?? "";
    this.retryAfter = retryAfter;
  }

  /** What to do, in a sentence or two for a person. */
  get advice() {
    const accepted = typeof this.allowed === "string" && [400, 415].includes(this.status);
    const fix = NAMES_A_REQUEST.test(this.fix) ? (ADVICE[this.status] ?? "Load this page again.") : this.fix;
    return [accepted ? `Accepted: ${this.allowed}.` : "", fix].filter(Boolean).join(" ");
  }
}

/** An error as a message and an advice. @param {unknown} error @returns {{message: string, advice: string}} */
export function describe(error) {
  if (error instanceof Problem) return { message: error.message, advice: error.advice };
  return { message: error instanceof Error ? error.message : String(error), advice: "Load this page again." };
}

/** Whether the user cancelled the request. @param {unknown} error */
export const isCancelled = (error) => error instanceof DOMException && error.name === "AbortError";

/** Whether the service asks for a key; the sign-in dialog answers that. @param {unknown} error */
export const isUnauthorized = (error) => error instanceof Problem && error.status === 401;

/** Emits "unauthorized" when a request is refused because it has no valid key. */
export const requests = /** @type {Emitter<{unauthorized: null}>} */ (new Emitter());

/** @param {number} status @param {string} text body of the answer @param {string|null} [after] its header Retry-After */
function toProblem(status, text, after = null) {
  if (status === 401) requests.emit("unauthorized", null);
  try {
    return new Problem(status, JSON.parse(text), Number(after) || null);
  } catch {
    return new Problem(status, {
      detail: `The service answered with status ${status}.`,
      fix: "Try again. The operator finds the reason in the service's log.",
    });
  }
}

/**
 * Send a request and read the JSON of its answer.
 * @template Answer
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @param {AbortSignal|null} [signal] aborts the request
 * @returns {Promise<Answer>} null for an empty answer
 * @throws {Problem} or an AbortError when cancelled
 */
export async function request(method, path, body, signal = null) {
  const headers = { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  const answer = await fetch(url(path), {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
  }).catch((error) => {
    throw isCancelled(error) ? error : new Problem(0, OFFLINE);
  });
  const text = await answer.text();
  if (!answer.ok) throw toProblem(answer.status, text, answer.headers.get("Retry-After"));
  return JSON.parse(text || "null");
}

/**
 * Upload a file and read the JSON of the answer. `fetch` does not report the progress of an upload.
 * @template Answer
 * @param {string} path
 * @param {Blob|FormData} file
 * @param {(share: number|null) => void} progress share that is sent, 0..1; null: all is sent
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 * @throws {Problem} or an AbortError when cancelled
 */
export function upload(path, file, progress, signal) {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    sent.open("POST", url(path));
    if (file instanceof Blob) sent.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    sent.setRequestHeader("Accept", "application/json");
    sent.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    sent.upload.onload = () => progress(null);
    sent.onerror = () => reject(new Problem(0, OFFLINE));
    sent.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    sent.onload = () =>
      sent.status < 300 ? resolve(JSON.parse(sent.responseText)) : reject(toProblem(sent.status, sent.responseText, sent.getResponseHeader("Retry-After")));
    signal.addEventListener("abort", () => sent.abort());
    sent.send(file);
  });
}

/**
 * Ask for a file, and read it with the name that the service gives it.
 * @param {string} path
 * @param {unknown} body sent as JSON
 * @returns {Promise<{blob: Blob, name: string}>}
 * @throws {Problem}
 */
export async function requestFile(path, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(url(path), { method: "POST", headers, body: JSON.stringify(body) }).catch(() => {
    throw new Problem(0, OFFLINE);
  });
  if (!answer.ok) throw toProblem(answer.status, await answer.text(), answer.headers.get("Retry-After"));
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "export";
  return { blob: await answer.blob(), name };
}
