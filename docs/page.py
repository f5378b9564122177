"""Makes docs/page.webp, the picture of the web page in the README, with the bundled release: `python -m docs.page`.

It takes a browser: Chromium, and the extra `test`. The street is painted and is no exemplar of the release.
"""

import io
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.running_service import running_service
from index_builder.datasets import open_dataset

SCENE = 1  # of the painted validation split
SHOWN = "bicyclist"
SIZE = {"width": 1440, "height": 900}


def main() -> None:
    """Segment the scene, open the explanation of its largest segment of a class, and keep what is seen."""
    file = io.BytesIO()
    Image.fromarray(open_dataset("streets", None, "val", count=SCENE + 1)[SCENE].image).save(file, "PNG")
    with TemporaryDirectory() as folder, running_service(Path(folder)) as address, sync_playwright() as playwright:
        answer = httpx.post(f"{address}/segment", content=file.getvalue(), timeout=60).raise_for_status().json()
        of_class = [segment for segment in answer["segments"] if segment["class_name"] == SHOWN]
        shown = max(of_class or answer["segments"], key=lambda segment: segment["area"])
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        number = shown["segment_id"].rpartition("-")[2]
        page.goto(f"{address}/#/s/{answer['segmentation_id']}/{number}")
        page.get_by_text("What would flip it").wait_for()
        page.wait_for_load_state("networkidle")
        seen = page.screenshot()
        browser.close()
    Image.open(io.BytesIO(seen)).convert("RGB").save(Path(__file__).parent / "page.webp", quality=85, method=6)


if __name__ == "__main__":
    main()
