"""Polygons of requests: reading them as rings of points, and filling them by the even-odd rule."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from model_store.labelled import fill_rings
from service.images.strokes import Covered
from service.problems import Problem

_MAX_OUTLINE = (
    5_000_000  # pixels along all sides; filling takes about 40 bytes for each row of the image that they cross
)
_BAND = 1_000_000  # pixels that are filled at once; each takes about 20 bytes
_MOST_BANDS = 16  # of one shape, because each band reads all sides
_TRIAL_BAND = 65_536  # pixels that are filled at once to see whether a ring covers any
POLYGONS_FIX = (
    "Give each polygon as [x, y, x, y, ...] or [[x, y], [x, y], ...] in pixels of the upright image, with three points "
    "or more."
)

Reason = Literal["fewer than three points", "outside the image", "covers no pixel"]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_FLAT = TypeAdapter(list[_Finite])
_POINTS = TypeAdapter(list[Annotated[list[_Finite], Field(min_length=2, max_length=2)]])


class Filled(NamedTuple):
    """A filled shape. covered: its pixels; None: there are none; unused: rings that cover none, by number."""

    covered: Covered | None
    unused: dict[int, Reason]


class Work:
    """Counts the pixels that a request makes the service look at.

    Args:
        most: largest number of pixels.
    """

    def __init__(self, most: int = 1_000_000_000) -> None:
        self._left = self._most = most

    def add(self, pixels: int) -> None:
        """Count pixels.

        Raises:
            Problem: 422 if there are too many.
        """
        self._left -= pixels
        if self._left < 0:
            raise Problem(
                422, "The annotations cover too many pixels in total.", received=f"more than {self._most} pixels",
                allowed=f"at most {self._most} pixels, counted once for each shape that could cover them",
                fix="Send fewer annotations in a request, or one mask file with `classes`.",
            )  # fmt: skip


def rings_of(polygons: Sequence[Any], name: str) -> list[np.ndarray]:
    """Read the polygons of an annotation.

    Args:
        polygons: a list of polygons, each [x, y, x, y, ...] or [[x, y], ...]; or one such polygon alone.
        name: of the polygons, for messages.

    Returns:
        For each polygon its points (x, y), [N, 2] float64.

    Raises:
        Problem: 422 if a polygon is not a list of finite coordinates.
    """
    if polygons and (not isinstance(polygons[0], list) or all(_is_point(entry) for entry in polygons)):
        return [_ring(polygons, name)]
    return [_ring(polygon, f"{name}[{n}]") for n, polygon in enumerate(polygons)]


def check_outlines(rings: Iterable[np.ndarray]) -> None:
    """Refuse rings whose sides are so long, or so many, that filling them would take too much memory.

    Raises:
        Problem: 422 if their total length exceeds five million pixels. A side counts as one pixel at least.
    """
    length = sum(_outline_length(ring) for ring in rings)
    if length > _MAX_OUTLINE:
        raise Problem(
            422, "The outlines of the polygons are too long.", received=f"{length:.0f} pixels in total",
            allowed=f"at most {_MAX_OUTLINE} pixels", fix="Give the largest of them as masks instead of polygons.",
        )  # fmt: skip


def fill(rings: Sequence[np.ndarray], size: tuple[int, int], work: Work) -> Filled:
    """Fill the rings of a shape by the even-odd rule: a ring in a ring is a hole, and a ring in a hole an island.

    A pixel is covered if its centre is inside. Parts outside the image are left out.

    Args:
        rings: each [N, 2] finite points (x, y) in pixels; (0, 0) is the outer corner of the first pixel.
        size: (H, W) of the image.
        work: counts the pixels of the boxes around the rings.

    Raises:
        Problem: 422 if there is too much to fill.
    """
    unused = {n: reason for n, ring in enumerate(rings) if (reason := _reason(ring, size)) is not None}
    used = [n for n in range(len(rings)) if n not in unused]
    if not used:
        return Filled(None, unused)
    top, left, bottom, right = _box(np.concatenate([rings[n] for n in used]), size)
    band = max(_BAND, (bottom - top) * (right - left) // _MOST_BANDS)
    inside = np.zeros((bottom - top, right - left), dtype=bool)
    for rows, part in _bands([rings[n] for n in used], (top, left, bottom, right), band, work):
        inside[rows.start - top : rows.stop - top] = part
    if len(used) == 1 and not inside.any():
        return Filled(None, unused | {used[0]: "covers no pixel"})
    if len(used) > 1:
        unused |= {n: "covers no pixel" for n in used if not _covers_a_pixel(rings[n], size, work)}
    return Filled(Covered(slice(top, bottom), slice(left, right), inside) if inside.any() else None, unused)


def _is_point(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and not isinstance(entry[0], list)


def _ring(polygon: Any, name: str) -> np.ndarray:
    """The points of one polygon, [N, 2] float64."""
    as_points = isinstance(polygon, list) and bool(polygon) and isinstance(polygon[0], list)
    try:
        numbers = (_POINTS if as_points else _FLAT).validate_python(polygon)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"[{part}]" for part in first["loc"])
        raise Problem(
            422, f"{name}{place}: {first['msg']}.", received=first["input"], allowed="finite numbers", fix=POLYGONS_FIX
        ) from error
    if not as_points and len(numbers) % 2:
        raise Problem(
            422, f"{name} is not a polygon.", received=f"{len(numbers)} numbers",
            allowed="x, y of three points or more", fix=POLYGONS_FIX,
        )  # fmt: skip
    return np.array(numbers, dtype=np.float64).reshape(-1, 2)


def _outline_length(ring: np.ndarray) -> float:
    """Pixels along the sides of a ring."""
    sides = np.abs(np.diff(ring, axis=0, append=ring[:1]))
    return float(np.maximum(sides.max(axis=1), 1).sum()) if len(ring) else 0.0


def _reason(ring: np.ndarray, size: tuple[int, int]) -> Reason | None:
    """Why a ring cannot cover a pixel; None if it may."""
    if len(ring) < 3:
        return "fewer than three points"
    (left, top), (right, bottom) = ring.min(axis=0), ring.max(axis=0)
    return "outside the image" if right <= 0 or bottom <= 0 or left >= size[1] or top >= size[0] else None


def _box(points: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The rows and columns of the image that points lie in: first row, first column, and those after the last."""
    left, top = np.floor(points.min(axis=0)).clip(0, size[::-1]).astype(np.int64).tolist()
    right, bottom = np.ceil(points.max(axis=0)).clip(0, size[::-1]).astype(np.int64).tolist()
    return top, left, bottom, right


def _bands(
    rings: Sequence[np.ndarray], box: tuple[int, int, int, int], pixels: int, work: Work
) -> Iterable[tuple[slice, np.ndarray]]:
    """Fill the part of rings in a box, a band of rows at a time: the rows, and [h, w] bool."""
    first, left, last, right = box
    height = max(1, pixels // max(right - left, 1))
    for top in range(first, last, height):
        bottom = min(top + height, last)
        work.add((bottom - top) * (right - left))
        yield slice(top, bottom), fill_rings([ring - (left, top) for ring in rings], (bottom - top, right - left))


def _covers_a_pixel(ring: np.ndarray, size: tuple[int, int], work: Work) -> bool:
    return any(part.any() for _, part in _bands([ring], _box(ring, size), _TRIAL_BAND, work))
