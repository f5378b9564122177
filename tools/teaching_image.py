"""Makes docs/teaching.webp, the animation of painting in the README: an empty release, two classes, a few strokes.

    python -m tools.teaching_image

It needs Chromium and the extra `test`. The images are the bundled samples of nuclei, which are in the public domain.
"""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, expect

from benchmarks.paint_ways import chromium_page
from benchmarks.running_service import running_service
from tests.browser.marking import Stage, start

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "service" / "static" / "samples"
FILE = ROOT / "docs" / "teaching.webp"
SIZE = (960, 600)
STROKES = (  # class, and a line in pixels of the image
    ("nucleus", ((116, 38), (130, 48))),
    ("nucleus", ((198, 43), (212, 36))),
    ("background", ((109, 93), (128, 72))),
    ("background", ((109, 164), (132, 178))),
)
BRIEF, LONG = 500, 2200  # milliseconds that a frame is shown


class Film:
    """Frames of a page, each with the milliseconds that it is shown."""

    def __init__(self, page: Page) -> None:
        self._page, self._frames, self._times = page, list[Image.Image](), list[int]()

    def take(self, milliseconds: int) -> None:
        """Add the page as it is now."""
        self._page.wait_for_timeout(300)  # what fades in is there
        frame = Image.open(io.BytesIO(self._page.screenshot())).convert("RGB")
        self._frames.append(frame.resize(SIZE, Image.Resampling.LANCZOS))
        self._times.append(milliseconds)

    def save(self, file: Path) -> None:
        """Write an animated WebP that repeats for ever."""
        first, *others = self._frames
        first.save(
            file, save_all=True, append_images=others, duration=self._times, loop=0, quality=60, method=6,
            minimize_size=True,
        )  # fmt: skip


def main() -> None:
    """Teach an empty release on the page, and save what is seen."""
    with (
        TemporaryDirectory() as folder,
        running_service(Path(folder), patience=300) as address,
        chromium_page() as page,
    ):
        film = Film(page)
        page.goto(address)
        name = page.get_by_label("Name", exact=True)
        name.fill("my-cells")
        film.take(LONG)
        name.press("Enter")
        expect(page.locator(".welcome")).to_contain_text("no classes yet")
        page.get_by_role("button", name="Dismiss").click()
        stage = start(page, address, SAMPLES / "nuclei-2.webp")
        film.take(LONG)
        page.get_by_role("radio", name="Brush", exact=True).click()
        _paint(page, stage, film)
        page.get_by_role("button", name="Apply", exact=True).click()
        expect(page.get_by_role("region", name="What the edit changed")).to_be_visible()
        film.take(LONG)
        page.keyboard.press("v")
        start(page, address, SAMPLES / "nuclei-1.webp")
        expect(page.locator(".legend-row", has_text="nucleus")).to_be_visible()
        film.take(LONG)
        film.save(FILE)


def _paint(page: Page, stage: Stage, film: Film) -> None:
    for n, (class_name, line) in enumerate(STROKES):
        if n == 0 or STROKES[n - 1][0] != class_name:
            field = page.get_by_label("Find a class, or name a new one")
            field.fill(class_name)
            field.press("Enter")
        stage.drag(*line)
        expect(page.locator(".mark-bar")).to_contain_text("Changes")
        film.take(BRIEF if n + 1 < len(STROKES) else LONG)


if __name__ == "__main__":
    main()
