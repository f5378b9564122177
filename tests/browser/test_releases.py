"""The page changes the release that is served."""

import shutil
from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect

from benchmarks.running_service import running_service
from tests.browser.conftest import SCREENSHOTS


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


def test_the_licences_of_a_release_are_shown(chromium: Browser, tmp_path: Path) -> None:
    with running_service(tmp_path) as address:
        page = chromium.new_page()
        page.goto(f"{address}/#/releases")
        licences = page.locator(".release.active").locator("details.licence")
        expect(licences.get_by_text("Network trained on", exact=True)).to_be_hidden()
        licences.get_by_text("Licences").click()
        expect(licences.get_by_text("Network trained on", exact=True)).to_be_visible()
        expect(licences).to_contain_text("CamVid (Brostow et al., 2009)")
        expect(licences).to_contain_text("painted by this project: Apache-2.0")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.locator(".release.active").screenshot(path=SCREENSHOTS / "licences.png")
        page.close()
        of_network = {one["name"]: one["licence"]["network"] for one in httpx.get(f"{address}/releases").json()}
        assert set(of_network["streets"]) == {"weights", "training data"}
