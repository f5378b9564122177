/** Files that were dropped, also those in folders, and which of them may be images. */

const IMAGE = /\.(jpe?g|jpe|jfif|png|webp|avif|tiff?|bmp|gif|jp2|j2k|p[gnp]m|heic|heif)$/i;
const HIDDEN = /^\./;

/** @typedef {{images: File[], others: number}} Found others: number of files that are no images */

/**
 * The files of a drop. It must be called during the event; the folders are read afterwards.
 * @param {DataTransfer} transfer
 * @returns {Promise<{files: File[], hasFolder: boolean}>}
 */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = [...transfer.files];
  if (!entries.some((entry) => entry?.isDirectory)) return { files: plain, hasFolder: false };
  /** @type {File[]} */
  const files = [];
  for (const entry of entries) if (entry) await collect(entry, files);
  return { files, hasFolder: true };
}

/** Select what may be an image, in the order of the paths. @param {File[]} files @returns {Found} */
export function imagesAmong(files) {
  const visible = files.filter((file) => !HIDDEN.test(file.name));
  const images = visible.filter((file) => file.type.startsWith("image/") || IMAGE.test(file.name));
  const order = new Intl.Collator("en", { numeric: true });
  images.sort((a, b) => order.compare(a.webkitRelativePath || a.name, b.webkitRelativePath || b.name));
  return { images, others: visible.length - images.length };
}

/** @param {FileSystemEntry} entry @param {File[]} files to which those of the entry are added */
async function collect(entry, files) {
  if (isFile(entry)) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
  else if (isFolder(entry)) {
    const reader = entry.createReader();
    for (;;) {
      /** @type {FileSystemEntry[]} */
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 at a time
      if (!some.length) return;
      for (const one of some) await collect(one, files);
    }
  }
}

/** @param {FileSystemEntry} entry @returns {entry is FileSystemFileEntry} */
const isFile = (entry) => entry.isFile;

/** @param {FileSystemEntry} entry @returns {entry is FileSystemDirectoryEntry} */
const isFolder = (entry) => entry.isDirectory;
