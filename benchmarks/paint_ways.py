"""Two ways to teach a running service: on its web page in Chromium, and by HTTP."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import httpx
import numpy as np
from PIL import Image

from segsort.masks import decode_rle

if TYPE_CHECKING:
    from playwright.sync_api import Page

_POLL = 0.2  # seconds between questions about a job
_MARGIN = 16  # pixels of the page around a fitted image, as in parts/image_view.js
_LARGEST = 8  # pixels of the page to a pixel of an image that is fitted
_PATIENCE = 300_000  # milliseconds


class Line(NamedTuple):
    """A stroke. class_name; points: [x, y] in pixels of the image; width: pixels."""

    class_name: str
    points: list[list[float]]
    width: float


class Way(Protocol):
    """A way to teach a running service. Images are named by their position among those that were sent."""

    def send(self, photographs: Sequence[np.ndarray]) -> None:
        """Send images, each [H, W, 3] uint8."""

    def mark(self, image: int, lines: Sequence[Line]) -> list[Line]:
        """Mark an image by one edit; returns the strokes that were sent."""

    def suggested(self) -> int:
        """The image that the service suggests to mark next."""

    def adapt(self) -> dict[str, Any]:
        """Fit the head, take the better release, and update the labels of all images; returns facts about it."""

    def labels(self, image: int, ids: Mapping[str, int]) -> np.ndarray:
        """The class of each pixel [H, W] of an image now; ids: of the classes by name. No class counts as the first."""


class _Client:
    """What both ways share: the images that were sent, and their labels."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = httpx.Client(base_url=address, timeout=300)
        self.image_ids: list[str] = []

    def close(self) -> None:
        """Close its connections."""
        self.client.close()

    def labels(self, image: int, ids: Mapping[str, int]) -> np.ndarray:
        """The class of each pixel [H, W] of an image now; ids: of the classes by name. No class counts as the first."""
        answer = self.post(f"/segmentations/{self.newest()[image]}/relabel?exemplars=0")
        size = (answer["height"], answer["width"])
        found = np.zeros(size, dtype=np.int64)
        for segment in answer["segments"]:
            found[decode_rle(segment["mask"]["counts"], size)] = ids.get(segment["class_name"], 0)
        return found

    def newest(self) -> list[str]:
        """The newest answer of each image."""
        listed = self.get("/segmentations?latest=true&limit=1000")
        answers = {one["image_id"]: str(one["segmentation_id"]) for one in listed}
        return [answers[image_id] for image_id in self.image_ids]

    def position(self, segmentation_id: str) -> int:
        """The image of an answer."""
        return self.image_ids.index(self.get(f"/segmentations/{segmentation_id}?masks=none&exemplars=0")["image_id"])

    def get(self, path: str) -> Any:
        return self.client.get(path).raise_for_status().json()

    def post(self, path: str, **content: Any) -> Any:
        return self.client.post(path, **content).raise_for_status().json()

    def keep(self, photographs: Sequence[np.ndarray]) -> list[bytes]:
        """The images as PNG files, and remember their ids."""
        files = []
        for photograph in photographs:
            sink = BytesIO()
            Image.fromarray(photograph).save(sink, "PNG")
            files.append(sink.getvalue())
        self.image_ids = [hashlib.sha256(file).hexdigest() for file in files]
        return files


class HttpWay(_Client):
    """Teaches by HTTP. address: of a service with an empty release."""

    def send(self, photographs: Sequence[np.ndarray]) -> None:
        """Send images, each [H, W, 3] uint8."""
        for file in self.keep(photographs):
            self.post("/segment", content=file)

    def mark(self, image: int, lines: Sequence[Line]) -> list[Line]:
        """Mark an image by one edit; returns the strokes that were sent."""
        strokes = [{"class_name": one.class_name, "points": one.points, "width": one.width} for one in lines]
        self.post(f"/segmentations/{self.newest()[image]}/marks", json={"strokes": strokes})
        return list(lines)

    def suggested(self) -> int:
        """The image that the service suggests to mark next."""
        return self.position(self.get("/suggestions?limit=1")["suggestions"][0]["segmentation_id"])

    def adapt(self) -> dict[str, Any]:
        """Fit the head, take the better release, and update the labels of all images; returns facts about it."""
        job = self.post("/adapt", json={"activate": "if_better"})
        while job["state"] in ("queued", "running"):
            time.sleep(_POLL)
            job = self.get(f"/jobs/{job['job_id']}")
        if job["state"] != "succeeded":
            raise RuntimeError(f"the adaptation {job['state']}: {job['problem']}")
        served = job["result"]["activated"]
        for answer in self.newest():
            self.post(f"/segmentations/{answer}/{'segment' if served else 'relabel'}?masks=none&exemplars=0")
        return {"served": served, "before": job["result"]["before"], "after": job["result"]["after"]}


@contextmanager
def chromium_page() -> "Iterator[Page]":
    """A page of an installed Chromium.

    Raises:
        RuntimeError: if there is none.
    """
    from playwright.sync_api import sync_playwright

    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        raise RuntimeError("Chromium is not installed; install it, or use --by http")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=found[0], args=flags)
        yield browser.new_page(viewport={"width": 1440, "height": 900})
        browser.close()


class PageWay(_Client):
    """Teaches on the web page, as a person does: with the mouse, the keyboard and the buttons of the page.

    Args:
        address: of a service with an empty release.
        page: of a browser.
    """

    def __init__(self, address: str, page: "Page") -> None:
        super().__init__(address)
        self.page = page
        page.set_default_timeout(_PATIENCE)

    def send(self, photographs: Sequence[np.ndarray]) -> None:
        """Send images, each [H, W, 3] uint8."""
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for n, file in enumerate(self.keep(photographs)):
                paths.append(Path(folder, f"image{n:02}.png"))
                paths[-1].write_bytes(file)
            self.page.goto(f"{self.address}/#/images")
            self.page.get_by_label("Images to add").set_input_files(paths)
            stored = self.page.get_by_role("list", name="Stored images").get_by_role("listitem")
            stored.nth(len(paths) - 1).wait_for()
            self.page.locator(".tile.queued").first.wait_for(state="detached")

    def mark(self, image: int, lines: Sequence[Line]) -> list[Line]:
        """Mark an image by one edit; returns the strokes that were sent."""
        page, answer = self.page, self.newest()[image]
        page.goto(f"{self.address}/#/s/{answer}")
        page.locator(f'[data-image="{self.image_ids[image]}"]').wait_for()
        facts = self.get(f"/segmentations/{answer}?masks=none&exemplars=0")
        for line in lines:
            page.get_by_role("radio", name="Brush", exact=True).click()
            self._set_width(line.width)
            self._choose(line.class_name)
            self._drag(line.points, (facts["width"], facts["height"]))
        with page.expect_response("**/marks*") as found:
            page.get_by_role("button", name="Apply", exact=True).click()
        page.wait_for_url(f"**/{found.value.json()['relabelled']['segmentation_id']}*")
        names = {one["class_id"]: one["name"] for one in self.get("/classes")}
        strokes = (found.value.request.post_data_json or {})["strokes"]
        return [Line(one.get("class_name") or names[one["class_id"]], one["points"], one["width"]) for one in strokes]

    def suggested(self) -> int:
        """The image that the service suggests to mark next."""
        with self.page.expect_response("**/suggestions*") as found:
            self.page.get_by_role("button", name="Next image to label").click()
        answer = found.value.json()["suggestions"][0]["segmentation_id"]
        position = self.position(answer)
        self.page.locator(f'[data-image="{self.image_ids[position]}"]').wait_for()
        return position

    def adapt(self) -> dict[str, Any]:
        """Fit the head, take the better release, and update the labels of all images; returns facts about it."""
        page = self.page
        page.get_by_role("button", name="Improve with my marks").first.click()
        choice = page.locator(".adaptation .primary", has_text="release").or_(
            page.locator(".adaptation .primary", has_text="present one")
        )
        choice.first.wait_for()
        served = "Use" in choice.first.inner_text()
        choice.first.click()
        if served:
            page.get_by_role("button", name="Update them").click()
            page.goto(f"{self.address}/#/images")
        else:
            page.goto(f"{self.address}/#/images")
            page.get_by_role("button", name="Update labels of").click()
        page.locator(".tile .tag", has_text="outdated").first.wait_for(state="detached")
        page.locator(".tile.queued").first.wait_for(state="detached")
        result = self.get("/jobs?limit=1")[0]["result"]
        return {"served": served, "before": result["before"], "after": result["after"]}

    def _set_width(self, width: float) -> None:
        """Set the brush to the nearest whole number of pixels by its keys."""
        wanted = max(1, round(width))
        figure = self.page.locator(".rail-figure")
        for _ in range(100):
            present = int(figure.inner_text().split()[0])
            if present == wanted:
                return
            self.page.keyboard.press("]" if present < wanted else "[")
        raise RuntimeError(f"the brush cannot be set to {wanted} pixels")

    def _choose(self, name: str) -> None:
        chip = self.page.locator(f'.palette-chip[title="{name}"]')
        if chip.count():
            chip.click()
            return
        field = self.page.get_by_label("Find a class, or name a new one")
        field.fill(name)
        field.press("Enter")

    def _drag(self, points: Sequence[Sequence[float]], size: tuple[int, int]) -> None:
        """Drag the mouse along points of an image of this width and height that is shown as a whole."""
        box = self.page.locator(".canvas-view").bounding_box()
        if box is None:
            raise RuntimeError("the page shows no image")
        width, height = size
        scale = min((box["width"] - 2 * _MARGIN) / width, (box["height"] - 2 * _MARGIN) / height, _LARGEST)
        left = box["x"] + (box["width"] - width * scale) / 2
        top = box["y"] + (box["height"] - height * scale) / 2
        (x, y), *rest = points
        self.page.mouse.move(left + x * scale, top + y * scale)
        self.page.mouse.down()
        for x, y in rest:
            self.page.mouse.move(left + x * scale, top + y * scale, steps=4)
        self.page.mouse.up()
