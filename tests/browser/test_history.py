"""The history of a page's edits: marks are undone and redone, one after the other, in a real browser and service."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page

RUN = """async ([id, others]) => {
  const [{ Edits }, api] = await Promise.all([import("./static/lib/edits.js"), import("./static/lib/api.js")]);
  const edits = new Edits(async () => {});
  const seen = [];
  edits.on("edited", ({ edit }) => seen.push(edit.kind));
  const names = async () => (await api.relabel(id)).segments.map((one) => one.class_name);
  const found = { before: await names() };
  const shown = await api.preview(id, { labels: [{ segment_id: `${id}-0`, class_name: "kerb" }] }, 2);
  found.previewed = shown.relabelled.segments.map((one) => one.class_name);
  found.elsewhere = shown.elsewhere.map((one) => one.segmentation_id);
  found.unchanged = await names();
  await edits.mark(id, { labels: [{ segment_id: `${id}-0`, class_name: "kerb" }], scope: "image" });
  found.marked = await names();
  await edits.labelSegments([{ segment_id: `${id}-1`, class_name: "gutter" }]);
  found.both = await names();
  await edits.undo();
  await edits.undo();
  found.undone = await names();
  found.nothing = [await edits.undo(), edits.last];
  found.redone = (await edits.redo()).summary;
  found.once = await names();
  await edits.redo();
  found.twice = await names();
  found.none = [await edits.redo(), edits.undone];
  await edits.undo();
  await edits.mark(id, { labels: [{ segment_id: `${id}-2`, class_name: "kerb" }] });
  found.cleared = edits.undone;
  const aborted = new AbortController();
  const late = api.preview(id, { labels: [{ segment_id: `${id}-0`, class_name: "x" }] }, 2, aborted.signal);
  aborted.abort();
  found.aborted = await late.then(() => "answered", (error) => error.name);
  return { ...found, seen };
}"""


def test_marks_are_undone_and_redone_in_order(page: Page, address: str, street: Callable[[int], Path]) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        ids = [client.post("/segment", content=street(n).read_bytes()).json()["segmentation_id"] for n in (2, 1)]
    found: dict[str, Any] = page.evaluate(RUN, [ids[1], ids[:1]])
    assert found["previewed"][0] == "kerb"
    assert found["elsewhere"][0] == ids[0]
    assert found["unchanged"] == found["before"] == found["undone"]
    assert (found["marked"][0], found["marked"][1]) == ("kerb", found["before"][1])
    assert found["both"][:2] == ["kerb", "gutter"]
    assert found["nothing"] == found["none"] == [None, None]
    assert found["redone"].startswith("marked a part of kerb")
    assert found["once"] == found["marked"]
    assert found["twice"] == found["both"]
    assert found["cleared"] is None
    assert found["aborted"] == "AbortError"
    assert found["seen"] == ["mark", "mark", *["revert"] * 4, "revert", "mark"]
