"""Stored images after another release is served: their labels are brought up to date from the page."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from benchmarks.running_service import running_service
from tests.browser.test_images_page import queued, stored
from tests.browser.test_page import Street


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of these tests alone, without images."""
    with running_service(tmp_path_factory.mktemp("updating"), patience=240) as address:
        yield address


def add(page: Page, files: list[Path], total: int) -> None:
    """Give the page images, and wait until as many as `total` are stored."""
    page.get_by_label("Images to add").set_input_files(files)
    expect(stored(page)).to_have_count(total)
    expect(queued(page)).to_have_count(0)


def releases(address: str) -> list[str]:
    """The release of the newest answer of each image."""
    return [one["release"] for one in httpx.get(f"{address}/segmentations?latest=true").json()]


def test_images_are_labelled_by_the_release_that_is_served_now(
    visit: Callable[..., Page], address: str, street: Street
) -> None:
    page = visit(address, "#/images", color_scheme="light")
    add(page, [street(0), street(1), street(2)], 3)
    before = len(httpx.get(f"{address}/segmentations").json())
    page.goto(f"{address}/#/releases")
    page.get_by_role("button", name="Serve this release").first.click()
    expect(page.get_by_text("general is served now")).to_be_visible()
    expect(page.get_by_role("button", name="Update them")).to_have_count(0)  # it would have no labels
    page.goto(f"{address}/#/images")
    page.get_by_role("button", name="Update labels of 3 images").click()
    expect(page.locator(".tile .tag", has_text="outdated")).to_have_count(0)
    assert releases(address) == ["general"] * 3
    page.goto(f"{address}/#/releases")
    page.get_by_role("button", name=re.compile("Serve this release|Go back to this release")).first.click()
    page.get_by_role("button", name="Update them").click()
    page.goto(f"{address}/#/images")
    expect(page.locator(".tile .tag", has_text="outdated")).to_have_count(0)
    expect(page.locator(".tile.queued")).to_have_count(0)
    assert releases(address) == ["streets"] * 3
    assert len(httpx.get(f"{address}/segmentations").json()) == before + 6


def test_after_an_edit_the_segments_stay_and_are_relabelled(
    visit: Callable[..., Page], address: str, street: Callable[[int], Path]
) -> None:
    page = visit(address, "#/images", color_scheme="light")
    add(page, [street(3)], 4)
    images = httpx.get(f"{address}/segmentations?latest=true").json()
    other = httpx.get(f"{address}/segmentations/{images[-1]['segmentation_id']}").json()
    label = f"{address}/segments/{other['segments'][0]['segment_id']}/label"
    httpx.post(label, json={"class_name": "stone"}, timeout=60).raise_for_status()
    page.reload()
    page.get_by_role("button", name="Update labels of").click()
    expect(page.locator(".tile .tag", has_text="outdated")).to_have_count(0)
    expect(page.get_by_role("button", name="Update labels of")).to_be_hidden()
    newest = httpx.get(f"{address}/segmentations?latest=true").json()
    assert {one["outdated"] for one in newest} == {False}
    assert sorted(one["segments"] for one in newest) == sorted(one["segments"] for one in images)
