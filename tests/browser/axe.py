"""Runs axe-core on a page in the browser: the rules of WCAG 2.2, levels A and AA, and good practice."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, ViewportSize

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
EXPERIMENTAL = ("label-content-name-mismatch", "p-as-heading", "table-fake-caption", "td-has-header")
OPTIONS = {
    "runOnly": {"type": "tag", "values": TAGS},
    "rules": {rule: {"enabled": True} for rule in EXPERIMENTAL},
    "resultTypes": ["violations"],
}
RUN = f"async () => (await axe.run(document, {json.dumps(OPTIONS)})).violations"
SETTLED = """async () => {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  await Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null)));
}"""
SMALL = """(least) => {
  const controls = "a[href], button, input, select, textarea, summary, [role=button], [role=option], [tabindex='0']";
  const inText = (one) => one.matches("a") && getComputedStyle(one).display === "inline";
  const side = (box) => Math.min(box.width, box.height);
  const area = (one) =>
    [one, one.closest("label"), ...(one.labels ?? [])]
      .filter(Boolean)
      .map((part) => part.getBoundingClientRect())
      .reduce((best, box) => (side(box) > side(best) ? box : best));
  const seen = (one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const small = (box) => side(box) > 1 && side(box) < least - 0.5;
  const size = (box) => `${box.width.toFixed(0)}x${box.height.toFixed(0)}`;
  return [...document.querySelectorAll(controls)]
    .filter((one) => seen(one) && !inText(one) && small(area(one)))
    .map((one) => `${size(area(one))} px: ${one.outerHTML.slice(0, 160)}`);
}"""


@dataclass(frozen=True)
class Window:
    """How a page is looked at.

    Attributes:
        size: of the window, CSS pixels.
        theme: "light" or "dark".
    """

    size: ViewportSize
    theme: Any


DESKTOP = ViewportSize(width=1440, height=900)
PHONE = ViewportSize(width=390, height=844)
WINDOWS = {
    "desktop, light": Window(DESKTOP, "light"),
    "desktop, dark": Window(DESKTOP, "dark"),
    "phone, dark": Window(PHONE, "dark"),
    "phone, light": Window(PHONE, "light"),
}


def violations(page: Page) -> Iterator[str]:
    """Each element of the page that breaks a rule, with the rule and the reason."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)  # by the developer tools, which the page's Content-Security-Policy does not concern
    for rule in page.evaluate(RUN):
        for node in rule["nodes"]:
            reason = " ".join(node["failureSummary"].split())
            yield f"{rule['id']}: {' '.join(map(str, node['target']))}: {reason} {node['html'][:160]}"


def small_controls(page: Page, least: int) -> list[str]:
    """Each control that is less than `least` CSS pixels wide or high, with its size. Links within text may be."""
    found: list[str] = page.evaluate(SMALL, least)
    return found


def violations_in_all_windows(page: Page) -> list[str]:
    """What `violations` finds in light and dark, on a desktop and on a phone, without reloading the page."""
    found: list[str] = []
    for name, window in WINDOWS.items():
        page.set_viewport_size(window.size)
        page.emulate_media(color_scheme=window.theme, reduced_motion="reduce")
        page.evaluate(SETTLED)
        found += [f"[{name}] {violation}" for violation in (*violations(page), *small_controls(page, 24))]
    return found
