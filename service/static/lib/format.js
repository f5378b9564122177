/** Numbers and times as text. */

/** A share in percent: "0.4 %", "12 %". @param {number} share 0..1 */
export function percent(share) {
  const value = share * 100;
  return `${value > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} %`;
}

/** A number with its noun: "1 edit", "1,200 edits". @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** The text with a capital first letter. @param {string} text */
export const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** How long ago a time is: "2 hours ago". @param {string} iso ISO 8601; UTC where it names no time zone */
export function timeAgo(iso) {
  const then = new Date(/[Z+]|-\d\d:\d\d$/.test(iso.slice(10)) ? iso : `${iso}Z`);
  const seconds = (Date.now() - then.getTime()) / 1000;
  const steps = /** @type {[number, Intl.RelativeTimeFormatUnit][]} */ ([
    [86400, "day"],
    [3600, "hour"],
    [60, "minute"],
  ]);
  for (const [size, unit] of steps)
    if (seconds >= size)
      return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(-Math.floor(seconds / size), unit);
  return "just now";
}

/**
 * Where an exemplar comes from, for a person. The ids of corrected segments and of stored images are for programs.
 * @param {string} source
 */
export function sourceName(source) {
  if (source.startsWith("correction of segment ")) return "a corrected segment";
  return /^\w+ [0-9a-f]{16}$/.test(source) ? "marks in an image" : source;
}
