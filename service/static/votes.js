/** The vote, recounted: what the label would be without some exemplars. */

/** @typedef {import("./types.js").Explanation} Explanation */

/**
 * The class that wins once some exemplars are gone and the next neighbours have moved up.
 * @param {Explanation} told
 * @param {string[]} gone exemplar ids
 * @returns {string|null} its name; null where nobody is left to vote
 */
export function winnerWithout(told, gone) {
  const { k, kappa } = told.vote;
  const left = [...told.exemplars, ...told.reserve].filter((one) => !gone.includes(one.exemplar_id)).slice(0, k);
  if (!left.length) return null;
  const nearest = Math.max(...left.map((one) => one.similarity ?? 0));
  /** @type {Map<string, number>} */
  const weights = new Map();
  for (const one of left) {
    const weight = (one.strength ?? 1) * Math.exp(kappa * ((one.similarity ?? 0) - nearest));
    weights.set(one.class_name, (weights.get(one.class_name) ?? 0) + weight);
  }
  return [...weights].sort((a, b) => b[1] - a[1])[0][0];
}

/** How many of the voters are of each class, the most first: "17 road, 3 pavement". @param {Explanation} told */
export function heads(told) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const one of told.exemplars) counts.set(one.class_name, (counts.get(one.class_name) ?? 0) + 1);
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
}
