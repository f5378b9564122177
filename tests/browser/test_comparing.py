"""Comparing two releases on the page, side by side on recent images."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.running_service import running_service
from tests.conftest import Blocks
from tests.service.conftest import encoded

DRAWN = """() => [...document.querySelectorAll(".compared canvas")].every(
  (canvas) => canvas.getContext("2d").getImageData(4, 4, 1, 1).data[3] === 255)"""


@pytest.fixture
def service(chromium: Browser, tiny_release: Path, tmp_path: Path) -> Iterator[str]:
    with running_service(tmp_path, "--release", str(tiny_release), patience=240) as address:
        yield address


def test_two_releases_are_compared_on_recent_images(visit: Callable[..., Page], service: str) -> None:
    page = visit(service, "#/releases", color_scheme="light")
    page.get_by_role("link", name="Compare two releases").click()
    expect(page.get_by_text("No image is stored.")).to_be_visible()
    expect(page.get_by_role("button", name="Compare on 0 images")).to_be_disabled()
    answers = [
        httpx.post(f"{service}/segment", content=encoded(Blocks("val")[number].image), timeout=60).json()
        for number in range(2)
    ]
    largest = max(answers[0]["segments"], key=lambda one: one["area"])
    body = {"class_name": "lava"}
    httpx.post(f"{service}/segments/{largest['segment_id']}/label", json=body, timeout=60).raise_for_status()
    page.reload()
    expect(page.get_by_label("Second release")).to_have_value("tiny")
    page.get_by_label("First release").select_option("tiny")
    page.get_by_role("button", name="Compare on 2 images").click()
    expect(page.get_by_text("Choose two different releases.")).to_be_visible()
    page.get_by_label("First release").select_option("general")
    page.get_by_role("button", name="Recent image 2").click()
    page.get_by_role("button", name="Recent image 1").click()
    expect(page.get_by_role("button", name="Compare on 0 images")).to_be_disabled()
    page.get_by_role("button", name="Recent image 1").click()  # the image that was marked was answered again
    page.get_by_role("button", name="Compare on 1 image").click()
    result = page.get_by_role("region", name="Result of the comparison")
    expect(result).to_contain_text("of all pixels get the same label from both")
    expect(result).to_contain_text(re.compile(rf"{largest['area']:,} pixels of these images that were marked"))
    expect(result.locator(".score-bars")).to_contain_text("general0.00")
    (one,) = page.locator(".compared").all()
    expect(one.get_by_role("img", name=re.compile("Labels of general: unknown 100 %"))).to_be_visible()
    expect(one.get_by_role("img", name=re.compile("Labels of tiny: .*lava"))).to_be_visible()
    page.wait_for_function(DRAWN)
    sides = one.locator("canvas").all()
    drawn = [side.evaluate("c => c.getContext('2d').getImageData(4, 4, 1, 1).data.join()") for side in sides]
    assert len({*drawn}) == 2, "what is unknown is grey, what has a label has a colour"
    assert drawn[0].split(",")[0] == drawn[0].split(",")[1] == drawn[0].split(",")[2]
