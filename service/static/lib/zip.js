/** Writes ZIP archives without compression: images are compressed already, and the files are never copied. */

const LIMIT = 0xffffffff; // bytes and offsets of the usual format
const MOST_FILES = 0xffff;
const UTF8 = 0x0800; // flag: names are UTF-8

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

/**
 * An archive of files. Its content is read from the files when it is sent.
 * @param {{name: string, file: Blob}[]} entries names with their folders
 * @param {(share: number) => void} [progress] share of the bytes that are read for their checksums, 0..1
 * @returns {Promise<Blob>}
 * @throws {Error} if the files are too many or too large for the format
 */
export async function zipped(entries, progress = () => {}) {
  const total = entries.reduce((sum, { file }) => sum + file.size, 0);
  if (entries.length > MOST_FILES || total > LIMIT) throw new Error("The folder is too large: choose a smaller one, or send a ZIP.");
  const parts = /** @type {BlobPart[]} */ ([]);
  const directory = /** @type {BlobPart[]} */ ([]);
  let offset = 0;
  let read = 0;
  for (const { name, file } of entries) {
    const bytes = new TextEncoder().encode(name);
    const checksum = await crc32(file, (count) => progress((read += count) / Math.max(total, 1)));
    const facts = [20, UTF8, 0, 0, 0x21, ["crc", checksum], ["size", file.size], ["size", file.size], bytes.length, 0];
    parts.push(header(0x04034b50, facts), bytes, file);
    directory.push(header(0x02014b50, [20, ...facts, 0, 0, 0, ["attributes", 0], ["offset", offset]]), bytes);
    offset += 30 + bytes.length + file.size;
  }
  const length = directory.reduce((sum, part) => sum + /** @type {Uint8Array<ArrayBuffer>} */ (part).byteLength, 0);
  const end = [0, 0, entries.length, entries.length, ["size", length], ["offset", offset], 0];
  return new Blob([...parts, ...directory, header(0x06054b50, end)], { type: "application/zip" });
}

/**
 * A header: its signature, then numbers of 2 bytes, or of 4 bytes where they have a name.
 * @param {number} signature
 * @param {(number|(string|number)[])[]} values
 */
function header(signature, values) {
  const size = 4 + values.reduce((/** @type {number} */ sum, value) => sum + (Array.isArray(value) ? 4 : 2), 0);
  const view = new DataView(new ArrayBuffer(size));
  view.setUint32(0, signature, true);
  let at = 4;
  for (const value of values) {
    if (Array.isArray(value)) view.setUint32(at, Number(value[1]), true);
    else view.setUint16(at, value, true);
    at += Array.isArray(value) ? 4 : 2;
  }
  return new Uint8Array(view.buffer);
}

/** The checksum of a file, read in parts. @param {Blob} file @param {(bytes: number) => void} progress */
async function crc32(file, progress) {
  let value = 0xffffffff;
  const reader = file.stream().getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    for (const byte of part.value) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
    progress(part.value.length);
  }
  return (value ^ 0xffffffff) >>> 0;
}
