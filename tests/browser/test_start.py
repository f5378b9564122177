"""The start page: what is served, starting one's own release, and sample images that fit."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.running_service import running_service


@pytest.fixture
def fresh(chromium: Browser, tmp_path: Path) -> Iterator[str]:
    """The address of a service of the test's own."""
    with running_service(tmp_path, patience=240) as address:
        yield address


def test_the_start_page_tells_what_is_served(page: Page, address: str) -> None:
    served = page.get_by_role("region", name="What is served")
    expect(served).to_contain_text("streets")
    expect(served).to_contain_text("11 classes, 6,000 examples")
    for one in httpx.get(f"{address}/classes").json():
        expect(served).to_contain_text(f"{one['name']}{one['exemplars']:,}")


def test_the_logo_leads_to_the_start_page_also_from_an_open_image(page: Page) -> None:
    page.get_by_role("button", name="Streets, sample image 1").click()
    expect(page.get_by_role("complementary", name="Labels and explanation")).to_be_visible()
    expect(page).to_have_url(re.compile("#/s/"))
    image = page.url
    page.get_by_role("link", name="segsort, start page").click()
    expect(page.get_by_role("region", name="What is served")).to_be_visible()
    expect(page.get_by_role("complementary", name="Labels and explanation")).to_be_hidden()
    page.go_back()
    expect(page).to_have_url(image)
    expect(page.get_by_role("complementary", name="Labels and explanation")).to_be_visible()
    expect(page.get_by_role("region", name="What is served")).to_be_hidden()


def test_only_samples_that_fit_the_release_are_offered(page: Page) -> None:
    samples = page.get_by_role("region", name="Sample images")
    expect(samples.get_by_role("heading", name="Streets")).to_be_visible()
    expect(samples.get_by_role("heading", name="Nuclei")).to_have_count(0)


def test_an_own_release_is_started_taught_nothing_and_offers_all_samples(
    visit: Callable[..., Page], fresh: str
) -> None:
    page = visit(fresh, color_scheme="dark")
    expect(page.get_by_role("region", name="What is served")).to_contain_text("streets")  # the releases are known
    own = page.get_by_role("region", name="Start your own")
    own.get_by_role("button", name="Start").click()
    expect(own.get_by_role("alert")).to_contain_text("Give it a name")
    own.get_by_label("Name", exact=True).fill("streets")
    own.get_by_role("button", name="Start").click()
    expect(own.get_by_role("alert")).to_contain_text("There is a release named streets already")
    own.get_by_label("Name", exact=True).fill("my cells")
    own.get_by_role("button", name="Start").click()
    expect(page.get_by_text("my-cells is served now and knows nothing yet")).to_be_visible()
    expect(page.get_by_role("region", name="What is served")).to_contain_text("my-cells")
    expect(page.get_by_role("heading", name="Teach me")).to_be_visible()
    assert httpx.get(f"{fresh}/readyz").json()["release"] == "my-cells"
    samples = page.get_by_role("region", name="Sample images")
    expect(samples.get_by_role("heading", name="Streets")).to_be_visible()
    samples.get_by_role("button", name="Nuclei, sample image 1").click()
    expect(page.get_by_role("region", name="Teach me")).to_be_visible()
    (answer,) = httpx.get(f"{fresh}/segmentations").json()
    assert answer["release"] == "my-cells"
    image = f"{fresh}/#/s/{answer['segmentation_id']}"
    page.get_by_role("link", name="Images", exact=True).click()
    expect(page.locator(".next-step")).to_contain_text("Next: teach it")
    page.get_by_role("link", name="Open an image", exact=True).click()
    expect(page).to_have_url(image)


def test_what_belongs_to_another_release_is_not_offered(visit: Callable[..., Page], fresh: str) -> None:
    httpx.post(f"{fresh}/classes", json={"name": "kerb"}, timeout=60).raise_for_status()
    httpx.post(f"{fresh}/releases", json={"name": "cells", "features": "general"}, timeout=60).raise_for_status()
    httpx.post(f"{fresh}/releases/cells/activate", timeout=60).raise_for_status()
    page = visit(fresh, "#/edits", color_scheme="light")
    edit = page.locator(".log-item")
    expect(edit).to_contain_text("release streets")
    expect(edit.get_by_role("button", name="Revert")).to_have_count(0)
    page.get_by_role("link", name="Image", exact=True).click()
    page.get_by_role("button", name="Nuclei, sample image 1").click()
    page.get_by_label("Name of what you see").fill("nucleus")
    page.get_by_role("button", name="Paint it").click()
    chips = page.locator(".palette-chip")
    expect(chips).to_have_text(["nucleus1"])
    page.get_by_role("link", name="Releases", exact=True).click()
    streets = page.get_by_label("streets", exact=True)
    streets.get_by_role("button", name="Go back to this release").or_(
        streets.get_by_role("button", name="Serve this release")
    ).click()
    expect(streets.get_by_text("served", exact=True)).to_be_visible()
    expect(page.locator(".palette-chip", has_text="road")).to_have_count(1)
    expect(page.locator(".palette-chip", has_text="nucleus")).to_have_count(0)
    page.get_by_role("link", name="Edits", exact=True).click()
    expect(edit.get_by_role("button", name="Revert")).to_be_visible()
