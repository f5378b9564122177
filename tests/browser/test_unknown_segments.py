"""Unknown segments on the image page: in the image, the legend, the list, the tooltip and the map of certainty."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from segsort.masks import decode_rle
from tests.browser.test_page import Street, other_class, segment, title
from tests.service.conftest import encoded

GREY = re.compile(r"^unknown")


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """An image that no street resembles: blocks in strong colours."""
    random = np.random.default_rng(3)
    coarse = random.integers(0, 256, (9, 12, 3)).astype(np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((480, 360), Image.Resampling.NEAREST))
    path = tmp_path / "strange.png"
    path.write_bytes(encoded(image))
    return path


def answer_of(page: Page, address: str) -> dict:
    found: dict = httpx.get(f"{address}/segmentations/{page.url.split('/s/')[1].split('/')[0]}").json()
    return found


def pixel(page: Page, segment_: dict, size: tuple[int, int]) -> tuple[float, float]:
    """The point of the page of a pixel in the middle of a segment of the fitted image."""
    mask = decode_rle(segment_["mask"]["counts"], size)
    places = np.argwhere(mask)
    y, x = places[np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()]
    box = page.get_by_role("group", name="Image with labels").bounding_box()
    assert box is not None
    scale = min((box["width"] - 32) / size[1], (box["height"] - 32) / size[0], 8)
    left = box["x"] + (box["width"] - size[1] * scale) / 2
    top = box["y"] + (box["height"] - size[0] * scale) / 2
    return left + (x + 0.5) * scale, top + (y + 0.5) * scale


def colors_in(page: Page, segment_: dict, size: tuple[int, int]) -> np.ndarray:
    """[n, 3] int, colours on the screen inside of a segment."""
    x, y = pixel(page, segment_, size)
    page.mouse.move(5, 5)
    shot = page.screenshot(clip={"x": x - 6, "y": y - 6, "width": 12, "height": 12})
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).reshape(-1, 3).astype(int)


def rows(page: Page) -> Locator:
    return page.locator(".segment-row")


def test_an_unknown_segment_has_no_colour_of_a_class_in_the_image(page: Page, strange: Path, unedited: str) -> None:
    segment(page, strange)
    answer = answer_of(page, unedited)
    unknown = [one for one in answer["segments"] if not one["known"] and one["area"] > 1500]
    assert unknown, "the test needs an unknown segment"
    page.keyboard.press("o")  # outlines off
    for one in unknown[:5]:
        found = colors_in(page, one, (360, 480))
        spread = found.max(axis=1) - found.min(axis=1)
        assert np.median(spread) < 60, "the image in grey, although its colours are strong"


def test_the_legend_has_a_row_for_unknown_with_its_share_of_the_area(page: Page, street: Street, unedited: str) -> None:
    segment(page, street(1))
    answer = answer_of(page, unedited)
    share = sum(one["area"] for one in answer["segments"] if not one["known"]) / (360 * 480)
    assert share > 0
    row = page.locator(".legend-row", has_text=GREY)
    shown = float(row.locator(".figure").inner_text().split()[0])
    assert shown == pytest.approx(100 * share, abs=0.6)
    shares = [float(text.split()[0]) for text in page.locator(".legend-row .figure").all_inner_texts()]
    assert 97 < sum(shares) < 103
    row.click()
    expect(rows(page)).to_have_count(sum(not one["known"] for one in answer["segments"]))
    assert all(text.startswith("unknown") for text in page.locator(".segment-row .name").all_inner_texts())


def test_no_row_of_the_list_has_a_confidence_and_is_unknown(page: Page, street: Street, unedited: str) -> None:
    segment(page, street(1))
    answer = answer_of(page, unedited)
    unknown = page.locator(".segment-row.unknown")
    expect(unknown).to_have_count(sum(not one["known"] for one in answer["segments"]))
    expect(unknown.locator(".sure, .margin")).to_have_count(0)
    known = page.locator(".segment-row:not(.unknown)")
    assert known.locator(".sure").count() == known.locator(".margin").count() == known.count()
    assert page.locator(".list-head span").all_inner_texts() == ["Area", "Label", "Margin", "Confidence"]
    for text in unknown.locator(".nearest").all_inner_texts():
        assert text.strip().startswith("nearest: ")


def test_the_least_confident_segments_are_in_the_order_of_confidence_and_then_of_the_margin(
    page: Page, street: Street, unedited: str
) -> None:
    segment(page, street(2))
    answer = answer_of(page, unedited)
    found = [int(text.removeprefix("segment-")) for text in rows(page).evaluate_all("all => all.map(one => one.id)")]
    key = [
        (one["known"], one["confidence"] or 0, one["margin"] if one["known"] else 0, -one["area"])
        for one in (answer["segments"][n] for n in found)
    ]
    assert key == sorted(key)
    least = [one["confidence"] for one in answer["segments"] if one["known"] and one["confidence"] < 0.54]
    assert len(set(least)) == len(least), "below the first knot, no two confidences are equal"


def test_the_tooltip_says_what_the_panel_says_before_and_after_a_correction(
    page: Page, strange: Path, unedited: str
) -> None:
    segment(page, strange)
    answer = answer_of(page, unedited)
    one = max((one for one in answer["segments"] if not one["known"]), key=lambda one: one["area"])
    point = pixel(page, one, (360, 480))
    page.mouse.move(*point)
    tip = page.locator(".tip")
    expect(tip).to_contain_text("unknown")
    expect(tip).to_contain_text(f"nearest: {one['class_name']}")
    assert "%" not in tip.inner_text()
    page.mouse.click(*point)
    expect(page.locator("#explained")).to_contain_text("Unknown")
    panel = page.get_by_role("region", name="Explanation")
    expect(panel.locator(".facts")).not_to_contain_text("confident")
    after = other_class(page, one["class_name"])
    page.locator(".chip", has_text=after).click()
    expect(page.locator("#explained")).to_have_text(after)  # known: a person has said so
    outcome = page.get_by_role("region", name="What the edit changed")
    expect(outcome.locator(".label-change").first).to_contain_text("unknown")
    page.mouse.move(point[0] + 2, point[1])
    page.mouse.move(5, 300)
    page.mouse.move(*point)
    expect(tip).to_contain_text(after)
    expect(tip).to_contain_text("confident")
    sure = panel.locator(".facts span").first.inner_text()
    assert sure in tip.inner_text()
    assert title(page).inner_text() == after
    outcome.get_by_role("button", name="Before").click()
    page.mouse.move(5, 300)
    page.mouse.move(*point)
    expect(tip).to_contain_text(f"nearest: {one['class_name']}")


def test_the_map_of_certainty_shows_how_sure_segments_are_and_its_key_has_numbers(
    page: Page, street: Street, unedited: str
) -> None:
    segment(page, street(1))
    answer = answer_of(page, unedited)
    one = max((one for one in answer["segments"] if one["known"]), key=lambda one: one["area"])
    before = np.median(colors_in(page, one, (360, 480)), axis=0)
    page.keyboard.press("u")
    button = page.get_by_role("button", name="Uncertainty")
    expect(button).to_have_attribute("aria-pressed", "true")
    key = page.get_by_role("region", name="How sure each segment is")
    for tick in ("100 %", "80 %", "60 %", "40 %", "20 %"):
        expect(key.locator(".certainty-ticks")).to_contain_text(tick)
    shares = [float(text.split()[0]) for text in key.locator("td").all_inner_texts()]
    assert 98 < sum(shares) < 102
    high = sum(s["area"] for s in answer["segments"] if s["known"] and s["confidence"] >= 0.8) / (360 * 480)
    assert shares[0] == pytest.approx(100 * high, abs=0.6)
    expect(page.locator(".legend")).to_be_hidden()
    after = np.median(colors_in(page, one, (360, 480)), axis=0)
    assert np.abs(after - before).max() > 20
    assert after[2] > after[0], "a certain segment is blue"
    button.click()
    expect(key).to_be_hidden()
    expect(page.locator(".legend")).to_be_visible()
    assert np.abs(np.median(colors_in(page, one, (360, 480)), axis=0) - before).max() < 8


def test_while_nothing_is_calibrated_the_map_shows_the_share_of_the_vote(
    visit: Callable[..., Page], unedited: str, street: Street
) -> None:
    answer = httpx.post(f"{unedited}/segment", content=street(3).read_bytes(), timeout=60).raise_for_status().json()
    page = visit(unedited, color_scheme="dark")
    page.route(re.compile(r"/segmentations/\w+\?"), uncalibrated)
    page.goto(f"{unedited}/#/s/{answer['segmentation_id']}")
    expect(rows(page).first).to_be_visible()
    page.keyboard.press("u")
    key = page.get_by_role("region", name="How sure each segment is")
    expect(key).to_contain_text("share of the vote")
    expect(page.get_by_text("Confidence: not calibrated yet")).to_be_visible()


def uncalibrated(route: Route) -> None:
    """Let an answer pass without its confidences."""
    response = route.fetch()
    body = response.json()
    for one in body["segments"]:
        one["confidence"] = None
    route.fulfill(response=response, json=body)
