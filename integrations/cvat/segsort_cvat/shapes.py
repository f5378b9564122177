"""Segments as shapes of CVAT, and shapes of CVAT as strokes of the service."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from cvat_sdk.masks import decode_mask, encode_mask
from numpy.typing import NDArray

from segsort_client import Segment, rle

DRAWN = ("mask", "polygon", "rectangle")  # types of shapes that have an area and can be taught


def mask_points(segment: Segment) -> list[float]:
    """The mask of a segment as CVAT stores masks: exactly its pixels."""
    x, y, width, height = segment.bbox
    return list(encode_mask(segment.mask, [x, y, x + width, y + height]))


class Drawn(NamedTuple):
    """A shape of a person. type, points: of CVAT; z_order: a higher one covers a lower one."""

    label: str
    color: str
    type: str
    points: Sequence[float]
    z_order: int
    rotation: float = 0.0


def strokes(shapes: Iterable[Drawn], size: tuple[int, int]) -> list[dict[str, Any]]:
    """Shapes as strokes of `add_exemplar`, of which later ones cover earlier ones. Their pixels win votes at once.

    Args:
        shapes: of the types `DRAWN`.
        size: (width, height) of the image.

    Raises:
        ValueError: if a mask does not fit the image.
    """
    ordered = sorted(shapes, key=lambda shape: shape.z_order)
    return [{"class_name": one.label, "color": one.color, **_pixels(one, size)} for one in ordered]


def _pixels(shape: Drawn, size: tuple[int, int]) -> dict[str, Any]:
    width, height = size
    if shape.type == "mask":
        mask: NDArray[np.bool_] = decode_mask(shape.points, image_width=width, image_height=height)
        return {"mask": {"size": [height, width], "counts": rle.encode(mask)}}
    points = list(shape.points) if shape.type == "polygon" else _corners(shape)
    return {"polygon": [[list(point) for point in zip(points[::2], points[1::2], strict=True)]]}


def _corners(shape: Drawn) -> list[float]:
    """The corners of a rectangle, turned by its rotation in degrees about its centre."""
    left, top, right, bottom = shape.points
    x, y, angle = (left + right) / 2, (top + bottom) / 2, math.radians(shape.rotation)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    turned = [
        (
            x + (a - x) * math.cos(angle) - (b - y) * math.sin(angle),
            y + (a - x) * math.sin(angle) + (b - y) * math.cos(angle),
        )
        for a, b in corners
    ]
    return [coordinate for corner in turned for coordinate in corner]
