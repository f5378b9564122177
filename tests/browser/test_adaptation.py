"""Improving the served release with its marks on the page: progress, scores, decision, reload, failure."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.running_service import running_service
from index_builder.heads import open_features
from index_builder.new_release import write_new
from model_store.store import open_store
from tests.conftest import BLOCK_CLASSES, Blocks
from tests.service.conftest import encoded

pytestmark = pytest.mark.timeout(900)

TRAIN = Blocks("train", count=3)
PATIENCE_MS = 240_000


@pytest.fixture
def service(chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A service over an empty release of the filter bank, which is quick to fit."""
    monkeypatch.setenv("SEGSORT_ADAPT_NICE", "0")
    monkeypatch.setenv("SEGSORT_ADAPT_BUDGET_S", "1")
    opened = open_features("filters", open_store(tmp_path / "none"), tmp_path, 96)
    blank = write_new(tmp_path / "elsewhere" / "blocks", opened, name="blocks").path
    with running_service(tmp_path, "--release", str(blank), patience=240) as address:
        yield address


def mark(address: str, number: int, classes: int = 3) -> None:
    """Mark the blocks of an image with short strokes, those of the first classes."""
    sample = TRAIN[number]
    answer = httpx.post(f"{address}/segment", content=encoded(sample.image), timeout=60).raise_for_status().json()
    strokes = [
        {
            "class_name": BLOCK_CLASSES[label].name,
            "points": [[24 * x + 6, 24 * y + 8], [24 * x + 18, 24 * y + 16]],
            "width": 3,
        }
        for y in range(3)
        for x in range(4)
        if (label := sample.labels[24 * y + 12, 24 * x + 12]) < classes
    ]
    body = {"segmentation_id": answer["segmentation_id"], "strokes": strokes}
    httpx.post(f"{address}/exemplars", json=body, timeout=60).raise_for_status()


def test_marks_improve_the_release_and_the_person_decides(visit: Callable[..., Page], service: str) -> None:
    page = visit(service, "#/releases", color_scheme="light")
    part = page.get_by_role("region", name="Improve with my marks")
    start = part.get_by_role("button", name="Improve with my marks")
    expect(start).to_be_disabled()
    expect(part).to_contain_text("Mark parts of two classes or more, and apply the marks.")
    for number in range(3):
        mark(service, number)
    page.reload()
    start.click()
    expect(part.get_by_role("progressbar")).to_be_visible()
    page.reload()
    expect(part.get_by_role("progressbar").or_(part.get_by_role("button", name="Use the new release"))).to_be_visible()
    expect(part).to_contain_text("Measured on 3 images with marks", timeout=PATIENCE_MS)
    job = httpx.get(f"{service}/jobs").json()[0]
    for name in ("before", "after"):
        expect(part.locator(".score-bars")).to_contain_text(f"{job['result'][name]:.2f}")
    assert httpx.get(f"{service}/readyz").json()["release"] == "blocks", "nothing is served without a decision"
    page.reload()
    part.get_by_role("button", name="Use the new release").click()
    name = job["result"]["release"]
    expect(page.locator(".release.active")).to_contain_text(name)
    expect(page.get_by_text(f"{name} is served now")).to_be_visible()
    assert httpx.get(f"{service}/readyz").json()["release"] == name
    expect(page.locator(".release.active")).to_contain_text("Improved from blocks")
    before = page.get_by_role("article", name="blocks", exact=True)
    before.get_by_role("button", name="Go back to this release").click()
    expect(page.locator(".release.active")).to_contain_text("given by its path")
    assert httpx.get(f"{service}/readyz").json()["release"] == "blocks"


def test_a_stopped_and_a_failed_improvement_change_nothing(visit: Callable[..., Page], service: str) -> None:
    mark(service, 0)
    page = visit(service, "#/releases", color_scheme="dark")
    part = page.get_by_role("region", name="Improve with my marks")
    start = part.get_by_role("button", name="Improve with my marks")
    start.click()
    part.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped. Nothing was changed.")).to_be_visible()
    expect(start).to_be_enabled()
    start.click()
    expect(part.get_by_role("progressbar")).to_be_visible()
    os.kill(child(httpx.get(f"{service}/jobs").json()[0]["job_id"]), signal.SIGKILL)
    expect(part.get_by_role("heading", name="It could not be improved")).to_be_visible()
    expect(part).to_contain_text("Nothing was changed.")
    page.reload()
    expect(part.get_by_role("button", name="Try again")).to_be_visible()
    part.get_by_role("button", name="Close").click()
    expect(start).to_be_enabled()
    page.reload()
    expect(start).to_be_enabled()
    assert httpx.get(f"{service}/readyz").json()["release"] == "blocks"


def child(job_id: str) -> int:
    """The process that works on a job."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if f"adapting/{job_id}".encode() in place.read_bytes():
                    return int(place.parent.name)
            except OSError:  # the process has just ended
                continue
        time.sleep(0.1)
    raise AssertionError("no process works on the job")


def test_a_release_that_cannot_be_improved_offers_nothing(page: Page) -> None:
    page.goto(page.url.split("#")[0] + "#/releases")
    expect(page.locator(".release.active")).to_contain_text("streets")
    expect(page.get_by_role("region", name="Improve with my marks")).to_be_hidden()
