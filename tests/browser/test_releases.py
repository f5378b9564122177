"""The page changes the release that is served."""

import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, Route, expect

from benchmarks.running_service import running_service
from tests.browser.conftest import SCREENSHOTS
from tests.conftest import Blocks
from tests.service.conftest import encoded
from tests.service.upgrades.changed import with_another_network


def test_another_release_is_served_by_a_button(chromium: Browser, tiny_release: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_release, tmp_path / "releases" / "tiny")
    with running_service(tmp_path) as address:
        page = chromium.new_page()
        page.goto(f"{address}/#/releases")
        other = page.locator(".release", has_text="tiny")
        other.get_by_role("button", name="Serve this release").click()
        expect(page.locator(".release.active")).to_contain_text("tiny")
        expect(page.get_by_text("tiny is served now")).to_be_visible()
        expect(page.locator(".release.active").get_by_role("button", name="Serve this release")).to_have_count(0)
        expect(page.get_by_role("button", name="Serve this release")).to_have_count(
            len(httpx.get(f"{address}/releases").json()) - 1
        )
        assert httpx.get(f"{address}/readyz").json()["release"] == "tiny"
        page.close()


def test_edits_of_an_earlier_release_are_carried_over_by_a_button(
    visit: Callable[..., Page], tiny_release: Path, tiny_run: Path, tmp_path: Path
) -> None:
    photo = encoded(Blocks("val")[0].image)
    other, data = with_another_network(tiny_run, tmp_path), tmp_path / "data"
    data.mkdir()
    with running_service(data, "--release", str(tiny_release)) as address:
        segment = httpx.post(f"{address}/segment", content=photo, timeout=60).json()["segments"][0]["segment_id"]
        httpx.post(f"{address}/segments/{segment}/label", json={"class_name": "lava"}, timeout=60).raise_for_status()
    with running_service(data, "--release", str(other)) as address:
        page = visit(address, "#/releases")
        served = page.locator(".release.active")
        expect(served).to_contain_text("1 edit made on an earlier tiny is kept without effect on this one.")
        held: list[Route] = []
        page.route("**/jobs?**", lambda route: held.append(route))  # the job may end before anybody sees it
        served.get_by_role("button", name="Carry them over").click()
        expect(served.get_by_role("progressbar")).to_be_visible()
        while held:
            held.pop().continue_()
        page.unroute("**/jobs?**")
        expect(page.get_by_text("carried over 1 edit of an earlier tiny: an exemplar of lava")).to_be_visible(
            timeout=60_000
        )
        expect(served.get_by_role("button", name="Carry them over")).to_have_count(0)
        expect(served).to_contain_text("1 edit made on it since")
        assert "lava" in {one["name"] for one in httpx.get(f"{address}/classes").json()}


def test_the_licences_of_a_release_are_shown(chromium: Browser, tmp_path: Path) -> None:
    with running_service(tmp_path) as address:
        page = chromium.new_page()
        page.goto(f"{address}/#/releases")
        licences = page.locator(".release.active").locator("details.licence")
        expect(licences.get_by_text("Network trained on", exact=True)).to_be_hidden()
        licences.get_by_text("Licences").click()
        with page.expect_response("**/releases"):
            page.evaluate("dispatchEvent(new HashChangeEvent('hashchange'))")  # the list is loaded again
        expect(licences.get_by_text("Network trained on", exact=True)).to_be_visible()
        expect(licences).to_contain_text("CamVid (Brostow et al., 2009)")
        expect(licences).to_contain_text("painted by this project: Apache-2.0")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.locator(".release.active").screenshot(path=SCREENSHOTS / "licences.png")
        page.close()
        of_network = {one["name"]: one["licence"]["network"] for one in httpx.get(f"{address}/releases").json()}
        assert set(of_network["streets"]) == {"weights", "training data"}
