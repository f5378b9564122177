/** The vote, computed again without some exemplars. */

/** @typedef {import("./types.js").Explanation} Explanation */

/**
 * The class that wins without some exemplars. The next nearest exemplars take their places among the k voters.
 * @param {Explanation} explanation
 * @param {string[]} removed exemplar ids
 * @returns {string|null} name of the class; null where no exemplar is left
 */
export function winnerWithout(explanation, removed) {
  const { k, kappa } = explanation.vote;
  const left = [...explanation.exemplars, ...explanation.reserve].filter((one) => !removed.includes(one.exemplar_id)).slice(0, k);
  if (!left.length) return null;
  const nearest = Math.max(...left.map((one) => one.similarity));
  /** @type {Map<string, number>} */
  const weights = new Map();
  for (const one of left) {
    const weight = one.strength * Math.exp(kappa * (one.similarity - nearest));
    weights.set(one.class_name, (weights.get(one.class_name) ?? 0) + weight);
  }
  return [...weights].sort((a, b) => b[1] - a[1])[0][0];
}

/** The number of voters of each class, largest first: "17 road, 3 pavement". @param {Explanation} explanation */
export function votersByClass(explanation) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const one of explanation.exemplars) counts.set(one.class_name, (counts.get(one.class_name) ?? 0) + 1);
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
}
