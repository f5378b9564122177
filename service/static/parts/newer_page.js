/** Offers to load the page again after the service was upgraded. Until then, the page works with the scripts it has. */

import { url } from "../lib/http.js";

/** @typedef {import("./messages.js").Messages} Messages */

const LEAST_MS = 60_000; // between two looks

/** Look for a newer page whenever somebody returns to this one. @param {Messages} messages */
export function watchForNewerPage(messages) {
  const script = document.querySelector("script[src]")?.getAttribute("src") ?? "";
  let looked = performance.now();
  let told = false;
  document.addEventListener("visibilitychange", async () => {
    if (document.hidden || told || performance.now() - looked < LEAST_MS) return;
    looked = performance.now();
    if (!script || !(await isNewer(script))) return;
    told = true;
    messages.show("The service was updated", {
      more: "Load the page again to use its new version.",
      action: { name: "Load again", run: () => location.reload() },
      stays: true,
    });
  });
}

/** Whether the page of now has another script than this one. @param {string} script its address has a content hash */
async function isNewer(script) {
  try {
    const answer = await fetch(url("/"), { cache: "no-cache", headers: { Accept: "text/html" } });
    return answer.ok && !(await answer.text()).includes(`"${script}"`);
  } catch {
    return false; // the service cannot be reached
  }
}
