"""The page Unknown: groups of similar unknown segments are named at once, and images to label next are listed."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.running_service import running_service
from tests.browser.test_page import INTERNAL
from tests.service.conftest import encoded
from tests.service.exploring.conftest import painted

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def tiny(chromium: Browser, tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with the tiny release, which knows three colours."""
    with running_service(tmp_path_factory.mktemp("tiny"), "--release", str(tiny_release), patience=240) as address:
        yield address


@pytest.fixture
def blank(tiny: str) -> Iterator[str]:
    """The address of that service, without images and edits."""
    yield tiny
    for edit in httpx.get(f"{tiny}/edits?limit=200").raise_for_status().json():
        if edit["kind"] != "revert" and edit["reverted_by"] is None:
            httpx.post(f"{tiny}/edits/{edit['revision']}/revert", timeout=60).raise_for_status()
    for one in httpx.get(f"{tiny}/segmentations?limit=1000").raise_for_status().json():
        httpx.delete(f"{tiny}/segmentations/{one['segmentation_id']}")


@pytest.fixture
def filled(blank: str) -> str:
    """The address of that service with six images of yellow and magenta things."""
    for seed in range(6):
        send(blank, "yellow", "magenta", seed=seed)
    return blank


def send(address: str, *kinds: str, seed: int, side: int = 28) -> str:
    answer = httpx.post(f"{address}/segment", content=encoded(painted(*kinds, seed=seed, side=side)), timeout=60)
    return str(answer.raise_for_status().json()["segmentation_id"])


def groups(address: str) -> list[dict]:
    found: list[dict] = httpx.get(f"{address}/clusters", timeout=60).raise_for_status().json()["clusters"]
    return found


def test_without_images_the_page_says_what_to_do(visit: Open, blank: str) -> None:
    page = visit(blank, "#/unknown")
    expect(page.locator(".unknown-content .empty")).to_contain_text("There are no images yet.")
    page.locator(".unknown-content .empty a").click()
    expect(page).to_have_url(re.compile("#/$"))


def test_where_nothing_is_unknown_unsure_segments_are_offered(visit: Open, blank: str) -> None:
    ground = painted(seed=0)
    httpx.post(f"{blank}/segment", content=encoded(ground), timeout=60).raise_for_status()
    page = visit(blank, "#/unknown")
    expect(page.locator(".unknown-content .empty")).to_contain_text("Nothing is unknown in the newest 1 image.")
    page.get_by_role("button", name="Show unsure segments").click()
    expect(page.locator(".unknown-content .empty")).to_contain_text("No label is unsure either.")
    expect(page.locator("#unknown-which")).to_have_value("unsure")


def test_groups_are_rows_of_crops_the_largest_first(visit: Open, filled: str) -> None:
    page = visit(filled, "#/unknown")
    found = groups(filled)
    expect(page.locator(".group")).to_have_count(len(found))
    assert [len(one["segments"]) for one in found][: len(found)]
    first = page.locator(".group").first
    expect(first).to_contain_text(f"{found[0]['size']} segments in {found[0]['images']} images")
    expect(first.locator(".group-segment")).to_have_count(min(len(found[0]["segments"]), 14))
    expect(first.locator("img").first).to_have_class(re.compile("loaded"))
    first.get_by_role("link", name="Show it in its image").first.click()
    expect(page).to_have_url(re.compile(r"#/s/\w+/\d+"))
    expect(page.locator("#explained")).to_contain_text("Unknown")
    assert not INTERNAL.search(page.locator("body").inner_text())


def test_a_whole_group_is_named_at_once_and_undone(visit: Open, filled: str) -> None:
    page = visit(filled, "#/unknown")
    before = groups(filled)
    first = page.locator(".group").first
    first.get_by_role("button", name=re.compile("Name these")).click()
    page.get_by_label("This is a …").fill("lemon")
    page.get_by_role("option", name="New class “lemon”").click()
    page.get_by_role("button", name="Undo").hover()  # a message stays while it has the pointer
    expect(page.locator(".group")).to_have_count(len(groups(filled)))
    edit = httpx.get(f"{filled}/edits?limit=1").json()[0]
    assert len(edit["exemplar_ids"]) == min(len(before[0]["segments"]), 14)
    left = {segment["segment_id"] for cluster in groups(filled) for segment in cluster["segments"]}
    assert not left & {segment["segment_id"] for segment in before[0]["segments"][:14]}
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".group")).to_have_count(len(before))
    assert groups(filled) == before


def test_only_selected_segments_are_named(visit: Open, filled: str) -> None:
    page = visit(filled, "#/unknown")
    first = page.locator(".group").first
    before = groups(filled)[0]
    first.get_by_role("button", name="Select none").click()
    expect(first.get_by_role("button", name="Name 0 selected")).to_be_disabled()
    for box in first.get_by_role("checkbox").all()[:2]:
        box.check()
    first.get_by_role("button", name="Name 2 selected").click()
    page.get_by_label("This is a …").fill("brick")
    page.get_by_role("option", name=re.compile("^brick")).click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    edit = httpx.get(f"{filled}/edits?limit=1").json()[0]
    assert len(edit["exemplar_ids"]) == 2
    named = {one["class_name"] for one in map(explained, [filled] * 2, before["segments"][:2])}
    assert named == {before["segments"][0]["class_name"]}, "answers that were recorded stay"


def explained(address: str, segment: dict) -> dict:
    found: dict = httpx.get(f"{address}/explain/{segment['segment_id']}", timeout=60).raise_for_status().json()
    return found


def test_images_to_label_next_are_listed_with_reasons_and_open(visit: Open, filled: str) -> None:
    page = visit(filled, "#/unknown")
    cards = page.locator(".suggestion")
    suggested = httpx.get(f"{filled}/suggestions?limit=8", timeout=60).json()["suggestions"]
    expect(cards).to_have_count(len(suggested))
    for reason in suggested[0]["reasons"]:
        expect(cards.first).to_contain_text(reason)
    cards.first.click()
    expect(page).to_have_url(re.compile(suggested[0]["segmentation_id"]))


def test_the_button_on_the_image_page_goes_to_the_next_image(visit: Open, filled: str) -> None:
    shown = send(filled, "cyan", seed=2, side=44)
    page = visit(filled, f"#/s/{shown}")
    expected = httpx.get(f"{filled}/suggestions?limit=1&skip={shown}", timeout=60).json()["suggestions"][0]
    page.get_by_role("button", name="Next image to label").click()
    expect(page).to_have_url(re.compile(expected["segmentation_id"]))
    expect(page.get_by_role("region", name="Messages")).to_contain_text(expected["reasons"][0])
    strip = page.locator(".strip [aria-current]")
    expect(strip).to_have_attribute("data-id", expected["segmentation_id"])
    page.keyboard.press("n")
    expect(page).not_to_have_url(re.compile(expected["segmentation_id"]))


def test_a_failure_is_shown_and_can_be_tried_again(visit: Open, filled: str) -> None:
    page = visit(filled)
    page.route(re.compile("/clusters"), lambda route: route.abort())
    page.goto(f"{filled}/#/unknown")
    expect(page.locator(".unknown-content .empty")).to_contain_text("The service cannot be reached.")
    page.unroute(re.compile("/clusters"))
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".group").first).to_be_visible()


def test_the_page_fits_a_phone_and_its_controls_are_large(visit: Open, filled: str) -> None:
    page = visit(filled, "#/unknown", viewport={"width": 390, "height": 844}, has_touch=True, color_scheme="dark")
    expect(page.locator(".group").first).to_be_visible()
    content = page.locator(".unknown-content")
    assert content.evaluate("element => element.scrollWidth <= element.clientWidth")
    for box in page.locator(".group").first.locator("button, a, input").all():
        size = box.bounding_box()
        assert size is not None
        assert min(size["width"], size["height"]) >= 24
