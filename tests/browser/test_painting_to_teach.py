"""A person with images of anything: from an empty release to labels of all images, on the page alone."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from benchmarks.paint_to_teach import Session
from benchmarks.paint_ways import PageWay
from benchmarks.running_service import running_service
from benchmarks.textures import Textures
from tests.browser.test_empty_release import TEACH


def test_painted_textures_are_taught_in_one_session_at_least_as_well_as_a_forest(
    visit: Callable[..., Page], tmp_path: Path
) -> None:
    with running_service(tmp_path, "--release", "general", patience=240) as address:
        with closing(PageWay(address, visit(address))) as way:
            result = Session(Textures(8, 5), count=8, marks=3, seed=0).run(way, tmp_path / "features")
        served = httpx.get(f"{address}/releases").raise_for_status().json()
    assert result["segsort"] >= max(result["marks only"], result["forest, scikit-image"])
    assert result["segsort"] > 0.6
    assert [one["name"] for one in served if one["active"]] != ["general"] or not result["served"]


def test_an_image_that_was_sent_before_anything_was_taught_has_labels_when_it_is_opened(
    visit: Callable[..., Page], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        address = stack.enter_context(running_service(tmp_path, "--release", "general", patience=240))
        page, session = visit(address), Session(Textures(2, 6), count=2, marks=1, seed=0)
        way = stack.enter_context(closing(PageWay(address, page)))
        way.send([session.dataset.photograph(i).image for i in session.images])
        page.goto(f"{address}/#/s/{way.newest()[1]}")
        expect(page.get_by_text(TEACH)).to_be_visible()
        stroke = {"class_name": "stripes", "points": [[10, 10], [60, 60]], "width": 8}
        way.post(f"/segmentations/{way.newest()[0]}/marks", json={"strokes": [stroke]})
        page.goto(f"{address}/#/s/{way.newest()[0]}")
        page.reload()
        page.goto(f"{address}/#/s/{way.newest()[1]}")
        expect(page.locator(".legend-row", has_text="stripes")).to_be_visible()
        expect(page.get_by_text(TEACH)).to_be_hidden()
