/** Names of the image files that this browser sent. The service does not store them, so they stay in this browser. */

/** @typedef {import("./types.js").AnswerSummary} AnswerSummary */

const KEY = "file-names"; // in the browser's storage
const KEPT = 5000; // names; the oldest are forgotten first

/** @type {Map<string, string>|null} by the id of the image; null: to be read from the storage */
let names = null;
addEventListener("storage", (event) => event.key === KEY && (names = null));

/** The name of an image, without folders; "" if this browser did not send it. @param {string|null} imageId */
export const fileNameOf = (imageId) => (imageId && load().get(imageId)) || "";

/** @param {string|null} imageId @param {string} path */
export function rememberFileName(imageId, path) {
  const name = path.split(/[\\/]/).at(-1);
  if (!imageId || !name) return;
  const known = load();
  known.delete(imageId); // the newest is the last one
  known.set(imageId, name);
  save([...known].slice(-KEPT));
}

/** Forget images that were deleted. @param {Iterable<string>} imageIds */
export function forgetFileNames(imageIds) {
  const known = load();
  for (const one of imageIds) known.delete(one);
  save([...known]);
}

/** The known names of images, by the ids of their answers. @param {Pick<AnswerSummary, "image_id"|"segmentation_id">[]} images */
export function namesByAnswer(images) {
  const named = images.map((one) => [one.segmentation_id, fileNameOf(one.image_id)]);
  return /** @type {Record<string, string>} */ (Object.fromEntries(named.filter(([, name]) => name)));
}

/** @returns {Map<string, string>} */
function load() {
  if (names) return names;
  try {
    names = new Map(JSON.parse(localStorage.getItem(KEY) ?? "[]"));
  } catch {
    names = new Map(); // storage is forbidden
  }
  return names;
}

/** @param {[string, string][]} entries */
function save(entries) {
  names = new Map(entries);
  try {
    localStorage.setItem(KEY, JSON.stringify(entries));
  } catch {
    // Storage is full or forbidden: the names last for this visit.
  }
}
