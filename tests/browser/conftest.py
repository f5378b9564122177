"""Fixtures: Chromium on the page of a running service with the bundled release."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.running_service import running_service
from index_builder.datasets import open_dataset
from tests.service.conftest import encoded

SCREENSHOTS = Path(__file__).parent.parent.parent / "out" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000  # for whatever a test waits for; a busy machine takes long
expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def launched() -> Iterator[Browser]:
    """The browser that SEGSORT_CHROMIUM names, or an installed one. Skips the tests where there is none."""
    asked = os.environ.get("SEGSORT_CHROMIUM")
    found = [path for name in ([asked] if asked else NAMES) if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"no browser: none of {asked or ', '.join(NAMES)} is installed; name one in SEGSORT_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found[0], args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser of all tests of the page. While it is open, no other test of this process can run an event loop."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="package")
def address(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the service. The browser comes first, so that no service starts without one."""
    with running_service(tmp_path_factory.mktemp("data"), patience=240) as address:
        yield address


@pytest.fixture(scope="package")
def street(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Writes painted streets that are not exemplars as JPEG files, 480x360, and returns their paths."""
    folder = tmp_path_factory.mktemp("streets")
    streets = open_dataset("streets", None, "val", count=8)

    def paint(number: int) -> Path:
        path = folder / f"street{number}.jpg"
        path.write_bytes(encoded(streets[number].image, "JPEG", quality=92))
        return path

    return paint


@pytest.fixture
def unedited(address: str) -> Iterator[str]:
    """The address of the service. Edits of the test are reverted afterwards, newest first."""
    yield address
    for edit in httpx.get(f"{address}/edits?limit=200").raise_for_status().json():
        if edit["kind"] != "revert" and edit["reverted_by"] is None:
            httpx.post(f"{address}/edits/{edit['revision']}/revert", timeout=60).raise_for_status()


@pytest.fixture
def visit(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Opens pages and keeps a screenshot of each. Fails on script errors and on requests to other hosts."""
    contexts, faults = [], []

    def open_page(address: str, path: str = "", **options: object) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith((address, "blob:", "data:")) or faults.append(asked.url))
        page.goto(f"{address}/{path}")
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=SCREENSHOTS / f"{request.node.name.removeprefix('test_')}.png")
        context.close()
    assert not faults


@pytest.fixture
def page(visit: Callable[..., Page], unedited: str) -> Page:
    """The page in a large window, with the light theme."""
    return visit(unedited, color_scheme="light")
