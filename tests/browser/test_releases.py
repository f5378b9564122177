"""The page changes the release that is served."""

import shutil
from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect

from benchmarks.running_service import running_service


def test_another_release_is_served_by_a_button(chromium: Browser, tiny_release: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_release, tmp_path / "releases" / "tiny")
    with running_service(tmp_path) as address:
        page = chromium.new_page()
        page.goto(f"{address}/#/releases")
        other = page.locator(".release", has_text="tiny")
        other.get_by_role("button", name="Serve this release").click()
        expect(page.locator(".release.active")).to_contain_text("tiny")
        expect(page.get_by_text("tiny is served now")).to_be_visible()
        expect(page.get_by_role("button", name="Serve this release")).to_have_count(1)
        assert httpx.get(f"{address}/readyz").json()["release"] == "tiny"
        page.close()
