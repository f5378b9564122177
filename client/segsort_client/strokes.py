"""Strokes: marked pixels and their class."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from segsort_client import rle
from segsort_client.errors import InputError
from segsort_client.results.answers import Segment
from segsort_client.results.base import Mask

Points: TypeAlias = "Sequence[Sequence[float]] | NDArray[Any]"
Labels: TypeAlias = "Mapping[str, str] | Iterable[tuple[Segment | str, str]]"


@dataclass(frozen=True)
class Stroke:
    """A line or an area that marks pixels with a class. Make one by `line`, `area` or `of_mask`.

    Coordinates are [x, y] in pixels of the upright image. Exactly the marked pixels become exemplars.

    Attributes:
        shape: points and width, polygon, or mask, as the service takes them.
        class_name: its class; a new name makes a new class.
        class_id: its class, in place of the name.
        color: of a new class, as #rrggbb.
    """

    shape: Mapping[str, Any]
    class_name: str | None = None
    class_id: int | None = None
    color: str | None = None

    @classmethod
    def line(
        cls, class_name: str | None, points: Points, width: float, *, class_id: int | None = None,
        color: str | None = None,
    ) -> Stroke:  # fmt: skip
        """A line through points [x, y]; a single point is a dot. width: in pixels."""
        return cls({"points": _points(points, 1), "width": float(width)}, class_name, class_id, color)

    @classmethod
    def area(
        cls, class_name: str | None, *rings: Points, class_id: int | None = None, color: str | None = None
    ) -> Stroke:
        """An area within outlines, each of three or more points [x, y]. An outline inside another one is a hole."""
        if not rings:
            raise InputError("An area needs an outline.", received="none", allowed="one or more lists of points [x, y]")
        return cls({"polygon": [_points(ring, 3) for ring in rings]}, class_name, class_id, color)

    @classmethod
    def of_mask(
        cls, class_name: str | None, mask: NDArray[Any] | Mask, *, class_id: int | None = None,
        color: str | None = None,
    ) -> Stroke:  # fmt: skip
        """The pixels of a mask of the whole image: bool [height, width], or a mask of an answer."""
        if isinstance(mask, Mask):
            return cls({"mask": mask.to_dict()}, class_name, class_id, color)
        if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype != bool:
            shown = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
            raise InputError(
                "This is not a mask.", received=shown, allowed="a bool array [height, width]",
                fix="Compare the array with the value that you mean, such as labels == 3.",
            )  # fmt: skip
        return cls({"mask": {"size": list(mask.shape), "counts": rle.encode(mask)}}, class_name, class_id, color)

    def to_dict(self) -> dict[str, Any]:
        """The stroke as the service takes it."""
        return class_body(self.class_name, self.class_id, self.color) | dict(self.shape)


def class_body(class_name: str | None, class_id: int | None, color: str | None = None) -> dict[str, Any]:
    """The members that name a class.

    Raises:
        InputError: if it has neither name nor id, or both.
    """
    if (class_name is None) == (class_id is None):
        raise InputError(
            "A class is named by its name or by its id.", received={"class_name": class_name, "class_id": class_id},
            allowed="one of class_name and class_id",
        )  # fmt: skip
    named = {"class_name": class_name, "class_id": class_id, "color": color}
    return {name: value for name, value in named.items() if value is not None}


def stroke_list(strokes: Iterable[Stroke | Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """Strokes as the service takes them; None: there are none."""
    return [one.to_dict() if isinstance(one, Stroke) else dict(one) for one in strokes] or None


def label_list(labels: Labels) -> list[dict[str, Any]] | None:
    """Segments and their classes as the service takes them; None: there are none."""
    pairs = labels.items() if isinstance(labels, Mapping) else labels
    return [{"segment_id": id_of(one, "segment_id"), "class_name": name} for one, name in pairs] or None


def id_of(value: object, attribute: str) -> str:
    """The id of a result, or the id itself.

    Raises:
        InputError: if it is neither.
    """
    found = value if isinstance(value, str) else getattr(value, attribute, None)
    if isinstance(found, str) and found:
        return found
    raise InputError("This has no id.", received=repr(value)[:100], allowed=f"a {attribute}, or a result that has one")


def label_file(mask: NDArray[Any] | bytes | str | os.PathLike[str]) -> Any:
    """A mask of class numbers as an image: other whole numbers than uint8 and uint16 are converted.

    Raises:
        InputError: if the numbers are not whole, or not 0 to 65535.
    """
    if not isinstance(mask, np.ndarray) or mask.dtype in (np.uint8, np.uint16):
        return mask
    if mask.dtype.kind not in "biu" or (mask.size and (mask.min() < 0 or mask.max() > 65535)):
        raise InputError(
            "The mask has numbers that no class has.", received=f"{mask.dtype}, {mask.min()} to {mask.max()}",
            allowed="whole numbers from 0 to 65535", fix="Give pixels without a class a number that `classes` lacks.",
        )  # fmt: skip
    return mask.astype(np.uint8 if not mask.size or mask.max() < 256 else np.uint16)


def _points(points: Points, least: int) -> list[list[float]]:
    try:
        found = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.ndim != 2 or found.shape[1:] != (2,) or len(found) < least or not np.isfinite(found).all():
        raise InputError(
            "These are not points.", received=repr(points)[:100], allowed=f"{least} or more points [x, y], in pixels"
        )
    listed: list[list[float]] = found.tolist()
    return listed
