"""Parts that results share: classes, masks and ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segsort_client import rle

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ClassInfo:
    """A class. `color` is #rrggbb."""

    class_id: int
    name: str
    color: str


@dataclass(frozen=True)
class Mask:
    """Pixels of a region as COCO compressed run lengths. size: (height, width) of the image."""

    size: tuple[int, int]
    counts: str

    def decode(self) -> NDArray[np.bool_]:
        """[height, width] bool."""
        return rle.decode(self.counts, self.size)

    def to_dict(self) -> dict[str, Any]:
        """The mask as `pycocotools.mask.decode` and `POST /segmentations/{id}/marks` take it."""
        return {"size": list(self.size), "counts": self.counts}


class Masked:
    """A result with a mask in run lengths."""

    shape: Mask

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[height, width] bool of the whole image, decoded anew each time."""
        return self.shape.decode()


@dataclass(frozen=True)
class PolygonMask:
    """Outlines of a region: closed rings of points (x, y) in pixels. Holes run in the opposite direction."""

    size: tuple[int, int]
    polygons: tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class Incomplete:
    """What is missing of an answer whose release is gone, and the fix."""

    reason: str
    missing: tuple[str, ...]
    fix: str
