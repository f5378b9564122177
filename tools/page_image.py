"""Makes docs/page.webp, the screenshot of the web page in the README, with the bundled release.

    python -m tools.page_image

It needs Chromium and the extra `test`. The scene is painted and none of the release's exemplars is from it.
"""

import io
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

from benchmarks.running_service import running_service
from index_builder.datasets import open_dataset

SCENE = 1  # of the painted validation split
EXPLAINED = "bicyclist"
WINDOW = ViewportSize(width=1440, height=900)
FILE = Path(__file__).parent.parent / "docs" / "page.webp"


def main() -> None:
    """Segment the scene, open the explanation of a segment, and save a screenshot."""
    with TemporaryDirectory() as folder, running_service(Path(folder), patience=300) as address:
        answer = httpx.post(f"{address}/segment", content=_scene(), timeout=60).raise_for_status().json()
        segment_id = _largest(answer, EXPLAINED)
        index = segment_id.rpartition("-")[2]
        screenshot = _screenshot(f"{address}/#/s/{answer['segmentation_id']}/{index}")
    Image.open(io.BytesIO(screenshot)).convert("RGB").save(FILE, quality=85, method=6)


def _scene() -> bytes:
    """The scene as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(open_dataset("streets", None, "val", count=SCENE + 1)[SCENE].image).save(file, "PNG")
    return file.getvalue()


def _largest(answer: dict[str, Any], class_name: str) -> str:
    """The id of the largest segment of a class, or of all segments where the class is missing."""
    of_class = [segment for segment in answer["segments"] if segment["class_name"] == class_name]
    return str(max(of_class or answer["segments"], key=lambda segment: segment["area"])["segment_id"])


def _screenshot(url: str) -> bytes:
    """The page of an explanation as a PNG file, once all its images are loaded."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=WINDOW, color_scheme="light")
        page.goto(url)
        page.get_by_role("heading", name="What would change the label").wait_for()
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(500)  # images fade in
        screenshot = page.screenshot()
        browser.close()
    return screenshot


if __name__ == "__main__":
    main()
