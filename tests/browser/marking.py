"""What the tests of marking share: pointer positions in pixels of the image, and pixels of shapes by naive rules."""

import re
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Page, Request, expect

from segsort.masks import decode_rle

MARGIN = 16  # pixels of the page around a fitted image
Points = list[tuple[float, float]]


@dataclass
class Stage:
    """An image that the page shows as a whole. answer: as the service stored it."""

    page: Page
    address: str
    answer: dict[str, Any]

    @classmethod
    def of(cls, page: Page, address: str) -> "Stage":
        """The stage of the image that the page shows."""
        found = httpx.get(f"{address}/segmentations/{page.url.split('/s/')[1].split('/')[0]}", timeout=60)
        return cls(page, address, found.raise_for_status().json())

    @property
    def size(self) -> tuple[int, int]:
        return self.answer["height"], self.answer["width"]

    @property
    def scale(self) -> float:
        """Pixels of the page to a pixel of the image."""
        box, (height, width) = self._box(), self.size
        return float(min((box["width"] - 2 * MARGIN) / width, (box["height"] - 2 * MARGIN) / height, 8))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place on the page of a point of the image."""
        box, (height, width), scale = self._box(), self.size, self.scale
        left, top = (box["width"] - width * scale) / 2, (box["height"] - height * scale) / 2
        return box["x"] + left + x * scale, box["y"] + top + y * scale

    def drag(self, *points: tuple[float, float]) -> None:
        """Drag the mouse along points of the image."""
        self.page.mouse.move(*self.at(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(*point), steps=4)
        self.page.mouse.up()

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(x, y))

    def mask(self, index: int) -> np.ndarray:
        return decode_rle(self.answer["segments"][index]["mask"]["counts"], self.size)

    def largest(self) -> int:
        """The index of the largest segment."""
        segments = self.answer["segments"]
        return max(range(len(segments)), key=lambda n: segments[n]["area"])

    def inner(self, index: int, clearance: int = 7) -> Points:
        """Two points inside a segment, far from its edge and from each other."""
        padded = np.pad(self.mask(index), clearance)
        shifts = range(-clearance, clearance + 1)
        deep = np.all([np.roll(padded, (dy, dx), (0, 1)) for dy in shifts for dx in shifts], axis=0)
        ys, xs = np.nonzero(deep[clearance:-clearance, clearance:-clearance])
        first, last = (int(n) for n in (np.argmin(xs + ys), np.argmax(xs + ys)))
        return [(float(xs[n]), float(ys[n])) for n in (first, last)]

    def _box(self) -> Any:
        box = self.page.locator(".canvas-view").bounding_box()
        assert box is not None
        return box


def start(page: Page, address: str, image: Any) -> Stage:
    """Give the page an image, wait for its labels, and return its stage."""
    before = page.url
    page.get_by_label("Images to segment").set_input_files(image)
    expect(page).not_to_have_url(before)
    expect(page.locator(".segment-row").first).to_be_attached()
    return Stage.of(page, address)


def use(page: Page, tool: str, digit: int | None = None) -> None:
    """Choose a tool, and a class by its number."""
    page.get_by_role("radio", name=tool, exact=True).click()
    if digit is not None:
        page.keyboard.press(str(digit))


def apply(page: Page) -> tuple[dict[str, Any], dict[str, Any]]:
    """Apply the draft; returns what was sent and what the service answered."""
    with page.expect_response("**/marks*") as found:
        page.get_by_role("button", name="Apply", exact=True).click()
    response = found.value
    assert response.status == 201, response.text()
    answer = response.json()
    expect(page).to_have_url(re.compile(answer["relabelled"]["segmentation_id"]))
    return sent(response.request), answer


def sent(request: Request) -> dict[str, Any]:
    body = request.post_data_json
    assert isinstance(body, dict)
    return body


def marks(page: Page) -> str:
    """What the bar says about the draft."""
    return page.locator(".mark-status").inner_text().replace("\n", " ")


def stored(address: str, added: dict[str, Any], name: str) -> np.ndarray:
    """The pixels of all exemplars of a class that an edit added, by the masks that the service stored."""
    ids = [one["exemplar_id"] for one in added["exemplars"] if one["class_name"] == name]
    found = [httpx.get(f"{address}/exemplars/{one}").raise_for_status().json()["mask"] for one in ids]
    pixels: np.ndarray = np.any([decode_rle(mask["counts"], tuple(mask["size"])) for mask in found], axis=0)
    return pixels


def under_line(points: Points, width: float, size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centre is at most half the width away from a line: each pixel against each part."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    found = np.zeros(size, dtype=bool)
    for (x1, y1), (x2, y2) in zip([points[0], *points[:-1]], points, strict=True):
        length = (x2 - x1) ** 2 + (y2 - y1) ** 2
        share = np.clip(((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / (length or 1), 0, 1)
        found |= np.hypot(x - x1 - share * (x2 - x1), y - y1 - share * (y2 - y1)) <= width / 2
    return found


def inside(ring: Points, size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centre is inside a ring: a ray to the right crosses an odd number of its sides."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    found = np.zeros(size, dtype=bool)
    for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if y1 == y2:
            continue
        found ^= ((y1 <= y) != (y2 <= y)) & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return found


def near(found: Points, wanted: Points, within: float) -> bool:
    """Whether each wanted point has a found point at most so far away."""
    gaps = [min(np.hypot(x - u, y - v) for u, v in found) for x, y in wanted]
    return bool(max(gaps) <= within)
