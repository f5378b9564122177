/** Sets of sample images that come with the page, and which of them fit the release that is served. */

import { fileUrl } from "./http.js";

/** @typedef {import("./types.js").OfferedClass} OfferedClass */
/**
 * @typedef {object} SampleSet
 * @property {string} name
 * @property {string} about what the images show, and whose they are
 * @property {string[]} files
 * @property {string[]} classes what releases call the things in the images, in lower case
 */

const numbered = (/** @type {string} */ name, /** @type {number} */ count) =>
  Array.from({ length: count }, (_, i) => `${name}-${i + 1}.webp`);

/** @type {SampleSet[]} */
const SETS = [
  {
    name: "Streets",
    about: "Four painted street scenes.",
    files: numbered("streets", 4),
    classes: ["road", "car", "pavement", "pedestrian", "bicyclist", "building", "sky", "tree", "pole", "fence", "sign"],
  },
  {
    name: "Nuclei",
    about: "Six microscopy images: stained tissue and fluorescence. Public domain (CC0).",
    files: numbered("nuclei", 6),
    classes: ["nucleus", "nuclei", "cell", "cells"],
  },
];

/** The sets that fit a release: all of them as things to mark, or those whose classes it knows. @param {OfferedClass[]} classes */
export function fittingSets(classes) {
  const known = classes.filter((one) => one.exemplars).map((one) => one.name.toLowerCase());
  if (!known.length) return SETS;
  const named = known.filter((name) => name !== "background" && name !== "other");
  return SETS.filter((set) => {
    const shared = named.filter((name) => set.classes.includes(name));
    return shared.length > 0 && shared.length >= named.length / 2;
  });
}

/** @param {string} file */
export const sampleUrl = (file) => fileUrl(`samples/${file}`);

/** Load sample images as files. @param {string[]} files @returns {Promise<File[]>} */
export const loadSamples = (files) =>
  Promise.all(
    files.map(async (file) => {
      const answer = await fetch(sampleUrl(file));
      if (!answer.ok) throw new Error(`The sample image ${file} cannot be loaded.`);
      return new File([await answer.blob()], file, { type: "image/webp" });
    }),
  );
