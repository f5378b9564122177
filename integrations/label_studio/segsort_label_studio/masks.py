"""Masks of regions of Label Studio, and outlines of masks. Places in Label Studio are percent of the image's sides."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segsort_label_studio.brush import Bools, unpack

Floats = NDArray[np.float64]


def region_mask(kind: str, value: Mapping[str, Any], size: tuple[int, int]) -> Bools:
    """The pixels of a region.

    Args:
        kind: brush, polygon, rectangle or ellipse.
        value: `value` of the region.
        size: (H, W) of the upright image.

    Returns:
        [H, W] bool.

    Raises:
        ValueError: if the value is malformed or of another size.
    """
    try:
        return _DRAWN[kind](value, size)
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"the {kind} is malformed ({type(error).__name__}: {error})") from error


def _brush(value: Mapping[str, Any], size: tuple[int, int]) -> Bools:
    if value.get("format", "rle") != "rle":
        raise ValueError(f"brush regions of the format {value['format']!r} are not read; rle is")
    return unpack(bytes(value["rle"]), size)


def _polygon(value: Mapping[str, Any], size: tuple[int, int]) -> Bools:
    points = np.array(value["points"], dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError("a polygon needs three or more points")
    return fill(points * _scale(size), size)


def _rectangle(value: Mapping[str, Any], size: tuple[int, int]) -> Bools:
    x, y, width, height = (float(value[key]) for key in ("x", "y", "width", "height"))
    corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]]) * _scale(size)
    return fill(_turned(corners, corners[0], float(value.get("rotation") or 0)), size)


def _ellipse(value: Mapping[str, Any], size: tuple[int, int]) -> Bools:
    centre = np.array([float(value["x"]), float(value["y"])]) * _scale(size)
    radii = np.array([float(value["radiusX"]), float(value["radiusY"])]) * _scale(size)
    if not (radii > 0).all():
        raise ValueError("an ellipse needs two radii above 0")
    angles = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    ring = centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return fill(_turned(ring, centre, float(value.get("rotation") or 0)), size)


_DRAWN = {"brush": _brush, "polygon": _polygon, "rectangle": _rectangle, "ellipse": _ellipse}


def _scale(size: tuple[int, int]) -> Floats:
    return np.array([size[1], size[0]]) / 100


def _turned(points: Floats, pivot: Floats, degrees: float) -> Floats:
    """Points [N, 2] turned clockwise on the screen, where y points down."""
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    turned: Floats = (points - pivot) @ matrix.T + pivot
    return turned


def fill(points: Floats, size: tuple[int, int]) -> Bools:
    """Pixels whose centre is inside a closed ring, by the even-odd rule.

    Args:
        points: [N, 2] x and y in pixels.
        size: (H, W).

    Returns:
        [H, W] bool.
    """
    mask = np.zeros(size, dtype=bool)
    first = np.clip(np.floor(points.min(axis=0)), 0, [size[1], size[0]]).astype(np.int64)
    last = np.clip(np.ceil(points.max(axis=0)), 0, [size[1], size[0]]).astype(np.int64)
    (left, top), (right, bottom) = first.tolist(), last.tolist()
    flips = np.zeros((bottom - top, right - left + 1), dtype=np.int32)  # where each row crosses the outline
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = (y0, y1) if y0 < y1 else (y1, y0)
        rows = np.arange(max(top, int(np.ceil(low - 0.5))), min(bottom, int(np.ceil(high - 0.5))))
        if len(rows):
            crossings = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(crossings - 0.5), left, right).astype(np.int64)
            np.add.at(flips, (rows - top, columns - left), 1)
    mask[top:bottom, left:right] = np.cumsum(flips, axis=1)[:, :-1] % 2 == 1
    return mask


def box(mask: Bools) -> tuple[slice, slice]:
    """Rows and columns that hold a mask of at least one pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def pieces(mask: Bools, least: int = 1) -> list[Bools]:
    """The parts of a mask whose pixels touch along their sides, the largest first; only those of `least` pixels."""
    if not mask.any():
        return []
    numbers = _connected(mask)
    counts = np.bincount(numbers[mask])
    order = np.argsort(-counts, kind="stable")
    return [numbers == number for number in order if counts[number] >= least and counts[number]]


def _connected(mask: Bools) -> NDArray[np.int64]:
    """[H, W]: a number for each pixel of the mask, the same for pixels that touch; -1 outside.

    Runs of rows are joined: a run takes the smallest number of the runs that touch it, until nothing changes.
    """
    H, W = mask.shape
    padded = np.zeros((H, W + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    owner = np.full((H, W), -1, dtype=np.int64)
    run_of = np.repeat(np.arange(len(rows)), ends - starts)
    owner[mask] = run_of
    above, below = owner[:-1].ravel(), owner[1:].ravel()
    touch = (above >= 0) & (below >= 0)
    codes = np.unique(above[touch] * len(rows) + below[touch])
    pairs = np.stack([codes // len(rows), codes % len(rows)], axis=1)
    names = np.arange(len(rows))
    while True:
        least = np.minimum(names[pairs[:, 0]], names[pairs[:, 1]])
        joined = names.copy()
        np.minimum.at(joined, pairs[:, 0], least)
        np.minimum.at(joined, pairs[:, 1], least)
        np.minimum.at(joined, names[pairs[:, 0]], least)
        np.minimum.at(joined, names[pairs[:, 1]], least)
        joined = joined[joined]
        if (joined == names).all():
            break
        names = joined
    owner[mask] = names[run_of]
    return owner


def ring(mask: Bools, tolerance: float) -> Floats:
    """The outer outline of a mask that is one piece.

    Args:
        mask: [H, W] bool, at least one pixel.
        tolerance: how far, in pixels, the outline may pass from the corners of pixels.

    Returns:
        [N, 2] x and y in pixels, N >= 3, along the edges of pixels and simplified.
    """
    points = _walk(mask)
    far = int(np.argmax(np.abs(points - points[0]).sum(axis=1)))  # two points that stay
    half = [_simplified(points[: far + 1], tolerance), _simplified(np.vstack([points[far:], points[:1]]), tolerance)]
    simple = np.vstack([half[0][:-1], half[1][:-1]])
    return simple if len(simple) >= 3 else points


# The pixels ahead of a corner, on the left hand and on the right hand, as steps of (column, row) from that corner.
_AHEAD = {
    (1, 0): ((0, -1), (0, 0)), (0, 1): ((0, 0), (-1, 0)), (-1, 0): ((-1, 0), (-1, -1)), (0, -1): ((-1, -1), (0, -1)),
}  # fmt: skip


def _walk(mask: Bools) -> Floats:
    """Corners along the outer edge of a mask, clockwise on the screen, with the mask on the right hand."""
    H, W = mask.shape
    inside = np.zeros((H + 2, W + 2), dtype=bool)
    inside[1:-1, 1:-1] = mask
    y, x = (int(part[0]) for part in np.nonzero(mask))  # the topmost row, its leftmost pixel
    start, direction = (x, y), (1, 0)
    place, corners = start, []
    while True:
        corners.append(place)
        place = (place[0] + direction[0], place[1] + direction[1])
        dx, dy = direction
        left, right = (inside[place[1] + row + 1, place[0] + column + 1] for column, row in _AHEAD[direction])
        if left and right:
            direction = (dy, -dx)  # to the left
        elif not right:
            direction = (-dy, dx)  # to the right
        if place == start and direction == (1, 0):
            return np.array(corners, dtype=np.float64)


def _simplified(points: Floats, tolerance: float) -> Floats:
    """Douglas and Peucker: the fewest of these points whose line passes all others at most `tolerance` away."""
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    parts = [(0, len(points) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        way = points[last] - points[first]
        between = points[first + 1 : last] - points[first]
        length = float(np.hypot(*way))
        away = np.abs(between[:, 0] * way[1] - between[:, 1] * way[0]) / length if length else np.hypot(*between.T)
        place = int(np.argmax(away))
        if away[place] > tolerance:
            middle = first + 1 + place
            keep[middle] = True
            parts += [(first, middle), (middle, last)]
    return points[keep]
