"""The page with an empty release: it explains how to teach it, and exemplars are added and removed again."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.running_service import running_service
from model_store.card import Calibration
from model_store.exemplar_table import Exemplars
from model_store.release import Release, write_release
from model_store.store import open_store
from tests.browser.axe import violations_in_all_windows
from tests.browser.test_page import INTERNAL, Street, segment, title

TEACH = "This release has no classes yet. Name what you see and paint over it"
SURE = re.compile(r"\d %\s+confident|not calibrated")


@pytest.fixture(scope="module")
def blank(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service whose release has the bundled network, and neither classes nor exemplars."""
    folder = tmp_path_factory.mktemp("blank")
    full = Release.open(open_store(folder).resolve())
    calibration = Calibration(
        confidence_x=[0, 1],
        confidence_y=[0, 1],
        known_threshold=0.8,
        how="there are no exemplars yet",
        calibrated=False,
    )
    changes = {"name": "blank", "classes": [], "calibration": calibration, "data": {}, "metrics": {}}
    card = full.card.model_copy(update=changes)
    nothing = Exemplars.none(card.network.dimension)
    release = write_release(folder / "blank", card, full.network_path, nothing, [], [])
    with running_service(folder, "--release", str(release.path), patience=240) as address:
        yield address


@pytest.fixture
def untaught(blank: str) -> Iterator[str]:
    """The address of the service, taught nothing. Edits of the test are reverted afterwards, newest first."""
    yield blank
    for edit in httpx.get(f"{blank}/edits?limit=200").raise_for_status().json():
        if edit["kind"] != "revert" and edit["reverted_by"] is None:
            httpx.post(f"{blank}/edits/{edit['revision']}/revert", timeout=60).raise_for_status()


@pytest.fixture
def page(visit: Callable[..., Page], untaught: str) -> Page:
    return visit(untaught, color_scheme="light")


def test_the_page_says_how_to_teach_an_empty_release(page: Page) -> None:
    expect(page.get_by_role("heading", name="Teach me")).to_be_visible()
    expect(page.locator(".welcome")).to_contain_text("This release has no classes yet.")
    expect(page.get_by_role("button", name="Try an example")).to_be_hidden()


def test_every_segment_of_an_empty_release_is_unknown_and_asks_for_its_class(page: Page, street: Street) -> None:
    rows = segment(page, street(1))
    expect(page.get_by_label("Teach me")).to_contain_text(TEACH)
    assert set(page.locator(".segment-row .name").all_inner_texts()) == {"unknown"}
    assert not SURE.search(page.locator("body").inner_text())
    rows.first.click()
    expect(title(page)).to_have_text("Unknown")
    panel = page.get_by_role("region", name="Explanation")
    expect(panel).to_contain_text("Nothing has been taught yet")
    expect(panel.get_by_label("This is a …")).to_be_visible()
    expect(panel.get_by_role("heading", name="The vote")).to_have_count(0)
    assert not SURE.search(panel.inner_text())
    assert not INTERNAL.search(page.locator("body").inner_text())


def test_the_first_class_is_taught_by_naming_a_segment_and_undone(page: Page, street: Street) -> None:
    rows = segment(page, street(1))
    page.get_by_label("Sort by").select_option("Largest")
    rows.first.click()
    page.get_by_label("This is a …").fill("road")
    page.get_by_role("option", name="New class “road”").click()
    outcome = page.get_by_role("region", name="What the edit changed")
    expect(outcome).to_contain_text("unknown")
    expect(page.get_by_role("heading", name="The vote")).to_be_visible()
    expect(title(page)).to_have_text("road")
    expect(page.locator("#explained")).to_have_text("road")  # known: not only the nearest class
    expect(page.locator(".summary .facts")).to_contain_text("confidence not calibrated yet")
    page.get_by_role("button", name="All segments").click()
    expect(page.locator(".legend")).to_contain_text("road")
    expect(page.get_by_label("Teach me")).to_be_hidden()
    expect(page.get_by_text("Confidence: not calibrated yet")).to_be_visible()
    words = page.locator(".segments").inner_text()
    assert "nearest: road" in words.replace("\n", " ")
    assert not SURE.search(words)
    page.keyboard.press("Control+z")
    expect(page.get_by_label("Teach me")).to_be_visible()
    assert set(page.locator(".segment-row .name").all_inner_texts()) == {"unknown"}


def test_a_second_class_votes_against_the_first(page: Page, street: Street) -> None:
    segment(page, street(1))
    view = page.get_by_role("group", name="Image with labels")
    box = view.bounding_box()
    assert box is not None
    for name, height in (("road", 0.9), ("sky", 0.2)):
        page.mouse.click(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * height)
        page.get_by_label("This is a …").fill(name)
        page.get_by_role("option", name=f"New class “{name}”").click()
        expect(title(page)).to_have_text(name)
        expect(page.locator(".why .bars")).to_contain_text(name)
        page.get_by_role("button", name="All segments").click()
    expect(page.locator(".legend-row", has_not_text="unknown")).to_have_count(2)
    names = page.locator(".segment-row:not(:has(.tag)) .name").all_inner_texts()
    assert min(names.count("road"), names.count("sky")) > 1, "similar segments are known too"


def test_an_empty_release_breaks_no_rule_of_accessibility(page: Page, street: Street) -> None:
    page.emulate_media(reduced_motion="reduce")
    expect(page.get_by_role("heading", name="Teach me")).to_be_visible()
    assert violations_in_all_windows(page) == []
    segment(page, street(0))
    expect(page.get_by_label("Teach me")).to_be_visible()
    assert violations_in_all_windows(page) == []
