"""Shapes of annotations: COCO run lengths and polygons, as masks [H, W] bool."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from service.problems import Problem

_MAX_OUTLINE = 5_000_000  # pixels; pycocotools takes 80 bytes for each pixel of a polygon's outline

RUN_LENGTHS_FIX = "Encode the mask with pycocotools' `encode`, columns first, at the size of the upright image."
POLYGONS_FIX = (
    "Give each polygon as a list [x, y, x, y, ...] in pixels of the upright image, with three points or more."
)


def mask_of_run_lengths(
    mask_size: Sequence[int], counts: str | list[int], size: tuple[int, int], name: str
) -> np.ndarray:
    """Decode run lengths.

    They are checked and decoded here, because pycocotools writes past the end of a mask if they exceed its size.

    Args:
        mask_size: [height, width], as the request says.
        counts: compressed run lengths, or a list of them, columns first, background first.
        size: (H, W) of the upright image.
        name: of the annotation, for messages.

    Returns:
        [H, W] bool.

    Raises:
        Problem: 422 if the run lengths are malformed, or of another size.
    """
    if tuple(mask_size) != size:
        raise other_size(tuple(mask_size), size, f"{name}.mask.size")
    runs = uncompressed(counts, name) if isinstance(counts, str) else counts
    if sum(runs) != size[0] * size[1]:
        raise Problem(
            422, f"{name}.mask.counts do not cover the image.", received=f"runs with {sum(runs)} pixels in total",
            allowed=f"{size[0]}x{size[1]} = {size[0] * size[1]} pixels", fix=RUN_LENGTHS_FIX,
        )  # fmt: skip
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, np.array(runs, dtype=np.int64)).reshape(size[::-1]).T


def uncompressed(counts: str, name: str) -> list[int]:
    """Decompress COCO run lengths: five bits a character, least significant first, later runs as differences.

    Args:
        counts: compressed run lengths.
        name: of the annotation, for messages.

    Raises:
        Problem: 422 if they are malformed.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            found = f"the character {character!r}" if shift <= 60 else "a number that does not end"
            raise _malformed(counts, name, found)
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            raise _malformed(counts, name, f"a run of {value} pixels")
        runs.append(value)
        value, shift = 0, 0
    if shift:
        raise _malformed(counts, name, "a number that does not end")
    return runs


def mask_of_polygons(polygons: list[list[float]], size: tuple[int, int], name: str) -> np.ndarray:
    """Fill polygons.

    Args:
        polygons: each [x, y, x, y, ...] in pixels.
        size: (H, W) of the upright image.
        name: of the annotation, for messages.

    Returns:
        [H, W] bool, true on the pixels of any polygon.

    Raises:
        Problem: 422 if a polygon is malformed or leaves the image.
    """
    H, W = size
    for i, polygon in enumerate(polygons):
        _check_polygon(np.array(polygon, dtype=np.float64), W, H, f"{name}.polygons[{i}]")
    merged = coco.merge(coco.frPyObjects(polygons, H, W))
    return np.asarray(coco.decode(merged), dtype=bool)


def check_outlines(polygons: Iterable[list[float]]) -> None:
    """Refuse polygons whose outlines are so long that filling them would take too much memory.

    Raises:
        Problem: 422 if their total length exceeds five million pixels.
    """
    length = sum(_outline_length(polygon) for polygon in polygons)
    if length > _MAX_OUTLINE:
        raise Problem(
            422, "The outlines of the polygons are too long.", received=f"{length:.0f} pixels in total",
            allowed=f"at most {_MAX_OUTLINE} pixels", fix="Give the largest of them as masks instead of polygons.",
        )  # fmt: skip


def other_size(found: tuple[int, ...], size: tuple[int, int], what: str) -> Problem:
    """422: a mask has another size than the image.

    Args:
        found: (height, width) of the mask.
        size: (H, W) of the upright image.
        what: the mask, for the message.
    """
    rotated = " The mask seems rotated: the EXIF orientation of the image is applied first."
    return Problem(
        422, f"The image and {what} have different sizes.", received=f"{found[1]}x{found[0]} (width x height)",
        allowed=f"{size[1]}x{size[0]}, the size of the upright image",
        fix=f"Send the mask of this image, at its size.{rotated if found == size[::-1] else ''}",
    )  # fmt: skip


def shortened(text: str) -> str:
    """The first 200 characters of a text, without halves of surrogate pairs."""
    return text[:200].encode(errors="replace").decode()


def _check_polygon(points: np.ndarray, W: int, H: int, name: str) -> None:
    if len(points) < 6 or len(points) % 2:
        raise Problem(
            422, f"{name} is not a polygon.", received=f"{len(points)} numbers",
            allowed="x, y of three points or more", fix=POLYGONS_FIX,
        )  # fmt: skip
    x, y = points[0::2], points[1::2]
    if not (np.isfinite(points).all() and x.min() >= 0 and y.min() >= 0 and x.max() <= W and y.max() <= H):
        raise Problem(
            422, f"{name} is outside the image.", received=f"x {_range(x)}, y {_range(y)}",
            allowed=f"x 0 to {W}, y 0 to {H}",
            fix="Give pixels of the upright image, with its EXIF orientation applied, and clip them at its edges.",
        )  # fmt: skip


def _outline_length(polygon: list[float]) -> float:
    """Pixels along the sides of a polygon."""
    points = np.array(polygon[: len(polygon) // 2 * 2], dtype=np.float64).reshape(-1, 2)
    with np.errstate(all="ignore"):  # numbers that are not finite are refused later, by name
        return float(np.abs(np.diff(points, axis=0, append=points[:1])).max(axis=1).sum())


def _range(values: np.ndarray) -> str:
    return f"{values.min():g} to {values.max():g}"


def _malformed(counts: str, name: str, found: Any) -> Problem:
    return Problem(
        422, f"{name}.mask.counts are not COCO run lengths.", received=f"{found} in {shortened(counts[:40])}",
        allowed="compressed run lengths, or a list of numbers", fix=RUN_LENGTHS_FIX,
    )  # fmt: skip
