/** Requests to the service, and the problems it answers with. */

/** @typedef {import("./types.js").Answer} Answer */

/** A refusal: what is wrong, what came, what may come, and what can be done. */
export class Problem extends Error {
  /**
   * @param {number} status 0 where no answer came
   * @param {{detail?: string, received?: unknown, allowed?: unknown, fix?: string}} body
   */
  constructor(status, body) {
    super(body.detail ?? "The service did not answer.");
    this.status = status;
    this.received = body.received;
    this.allowed = body.allowed;
    this.fix = body.fix;
  }

  /** What to do about it, in a sentence or two. */
  get advice() {
    const allowed = typeof this.allowed === "string" ? `Accepted: ${this.allowed}.` : "";
    return [allowed, this.fix].filter(Boolean).join(" ");
  }
}

const OFFLINE = { detail: "The service cannot be reached.", fix: "Check that it is running, then try again." };
/** Announces "signin" when a request is refused for want of a key. */
export const doors = new EventTarget();

/** @param {number} status @param {string} text @returns {Problem} */
function refusal(status, text) {
  if (status === 401) doors.dispatchEvent(new Event("signin"));
  try {
    return new Problem(status, JSON.parse(text));
  } catch {
    return new Problem(status, {
      detail: `The service answered ${status}.`,
      fix: "Try again; the service's log says more.",
    });
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<any>}
 * @throws {Problem}
 */
async function ask(method, path, body) {
  const headers = { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  const answer = await fetch(path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
  }).catch(() => {
    throw new Problem(0, OFFLINE);
  });
  const text = await answer.text();
  if (!answer.ok) throw refusal(answer.status, text);
  return text ? JSON.parse(text) : null;
}

/** @param {string} path */
export const get = (path) => ask("GET", path);
/** @param {string} path @param {unknown} [body] */
export const post = (path, body) => ask("POST", path, body);
/** @param {string} path */
export const remove = (path) => ask("DELETE", path);

/**
 * Segment a picture.
 * @param {Blob} file
 * @param {(share: number|null) => void} progress share of the file that is sent, 0..1; null: sent, being segmented
 * @param {AbortSignal} signal
 * @param {number|null} segments that sorting starts with; null: as the release says
 * @returns {Promise<Answer>}
 * @throws {Problem}
 */
export function segment(file, progress, signal, segments) {
  return new Promise((resolve, reject) => {
    // fetch() tells nothing of how far an upload is
    const request = new XMLHttpRequest();
    request.open("POST", `/segment?exemplars=0${segments ? `&segments=${segments}` : ""}`);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.upload.onload = () => progress(null);
    request.onerror = () => reject(new Problem(0, OFFLINE));
    request.onabort = () => reject(new DOMException("given up", "AbortError"));
    request.onload = () =>
      request.status < 300
        ? resolve(JSON.parse(request.responseText))
        : reject(refusal(request.status, request.responseText));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
