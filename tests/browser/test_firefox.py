"""The page in Firefox: an image is segmented, explained and corrected, without an error of a script."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.running_service import running_service
from tests.browser.conftest import SCREENSHOTS
from tests.browser.firefox import MIDDLE, FirefoxPage, running_firefox

Street = Callable[[int], Path]
NAMES = ("firefox-esr", "firefox")
FILES = "input[type=file][aria-label='Images to segment']"
LOADED = """() => {
  const crop = document.querySelector(".why .card img"); // loaded when it comes near the window
  crop?.scrollIntoView();
  return crop?.naturalWidth > 0;
}"""
TITLE = "#explained .class-name, #explained .name:not(:has(.class-name))"


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirefoxPage]:
    """The browser that SEGSORT_FIREFOX names, or an installed one. Skips the tests where there is none."""
    asked = os.environ.get("SEGSORT_FIREFOX")
    found = [path for name in ([asked] if asked else NAMES) if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"no Firefox: none of {asked or ', '.join(NAMES)} is installed; name one in SEGSORT_FIREFOX")
    with running_firefox(found[0], tmp_path_factory.mktemp("firefox")) as page:
        page.resize(1440, 900)
        yield page


@pytest.fixture(scope="module")
def service(firefox: FirefoxPage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service. The browser comes first, so that no service starts without one."""
    with running_service(tmp_path_factory.mktemp("data"), patience=240) as address:
        yield address


@pytest.fixture
def page(firefox: FirefoxPage, service: str, request: pytest.FixtureRequest) -> Iterator[FirefoxPage]:
    """The page in Firefox. Fails on script errors, and keeps a screenshot."""
    firefox.open("about:blank")
    firefox.open(f"{service}/")
    yield firefox
    firefox.screenshot(SCREENSHOTS / f"firefox_{request.node.name.removeprefix('test_')}.png")
    assert firefox.faults == []


def segment(page: FirefoxPage, image: Path) -> None:
    page.choose_files(FILES, image)
    page.wait_until("() => location.hash.startsWith('#/s/')")
    page.find(".segment-row")


def test_the_start_page_can_be_used(page: FirefoxPage) -> None:
    page.find("main h1, main h2")
    page.find("main button", "Choose images")
    assert page.call("() => document.styleSheets.length") == 1
    assert page.call("() => document.styleSheets[0].cssRules.length") > 100


def test_an_image_is_segmented_explained_and_corrected(page: FirefoxPage, service: str, street: Street) -> None:
    segment(page, street(0))
    assert page.call("() => document.querySelectorAll('.segment-row').length") > 20
    page.click(".segment-row")
    page.find("h3, h2", "The vote")
    before = page.text(TITLE)
    page.wait_until(LOADED)
    page.click(".chip:not(.current):not(.second)")
    page.wait_until("(selector, name) => document.querySelector(selector)?.innerText !== name", TITLE, before)
    page.find("section, div, article", "changed in this image")
    assert httpx.get(f"{service}/edits").json()[0]["summary"].startswith("corrected a segment")


def test_a_brush_stroke_becomes_an_edit(page: FirefoxPage, service: str, street: Street) -> None:
    before = len(httpx.get(f"{service}/edits").json())
    segment(page, street(1))
    page.click("[role=radio][aria-label=Brush], .tool-rail [aria-label^=Brush]")
    page.type("1")  # the first class
    x, y = page.call(MIDDLE, page.find(".canvas-view"))
    page.drag([(x - 40, y), (x, y + 5), (x + 40, y)])
    page.find(".mark-status", "1 mark")
    page.click(".mark-bar button", "Apply")
    page.find("section, div, article", "changed in this image")
    assert len(httpx.get(f"{service}/edits").json()) == before + 1


def test_the_labels_are_drawn(page: FirefoxPage, street: Street) -> None:
    segment(page, street(0))
    colours = """() => {
      const canvas = [...document.querySelectorAll("canvas")].find((one) => one.checkVisibility() && one.width > 100);
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      const found = new Set();
      for (let at = 0; at < data.length; at += 404) found.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
      return found.size;
    }"""
    page.wait_until(f"() => ({colours})() > 50")
