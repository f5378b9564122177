"""The pixels under a stroke: those whose centre is at most half its width away from its line."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_AT_ONCE = 1 << 18  # rows of line segments that are computed at once


class Covered(NamedTuple):
    """The pixels under a stroke. rows, columns: the window that they lie in; inside: bool, which pixels of it."""

    rows: slice
    columns: slice
    inside: np.ndarray


def covered_pixels(points: np.ndarray, width: float, size: tuple[int, int]) -> Covered | None:
    """Find the pixels under a stroke, clipped at the edges of the image.

    A pixel is under the stroke if the distance of its centre to the line through the points is at most half the width.
    The pixel in column x and row y has its centre at (x + 0.5, y + 0.5). A stroke so thin that it covers no centre
    covers the pixels that its points lie in.

    Args:
        points: [n, 2] float64, finite (x, y) in pixels, n >= 1. A single point is a dot.
        width: pixels, above 0.
        size: (H, W) of the image.

    Returns:
        The pixels; None if there is none inside the image.
    """
    lines = _lines(points)
    low, high = lines.min(axis=(0, 1)) - width / 2, lines.max(axis=(0, 1)) + width / 2
    left, right = _clipped(low[0], high[0], size[1])
    top, bottom = _clipped(low[1], high[1], size[0])
    if left < right and top < bottom:
        inside = _filled(lines, width / 2, (top, left, bottom, right))
        if inside.any():
            return Covered(slice(top, bottom), slice(left, right), inside)
    return pixels_of_points(points, size)


def pixels_of_points(points: np.ndarray, size: tuple[int, int]) -> Covered | None:
    """The pixels that points [n, 2] (x, y) lie in; None if there is none inside an image of size (H, W)."""
    x, y = np.floor(points[:, 0]), np.floor(points[:, 1])
    inside = (x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0])
    if not inside.any():
        return None
    columns, rows = x[inside].astype(np.int64), y[inside].astype(np.int64)
    left, top = int(columns.min()), int(rows.min())
    found = np.zeros((int(rows.max()) - top + 1, int(columns.max()) - left + 1), dtype=bool)
    found[rows - top, columns - left] = True
    return Covered(slice(top, top + found.shape[0]), slice(left, left + found.shape[1]), found)


def rows_of_lines(points: np.ndarray, width: float, height: int) -> int:
    """Count the image rows that each line of a stroke crosses, added up: the work of `covered_pixels`."""
    first, last = _row_ranges(_lines(points), width / 2, (0, height))
    return int(np.maximum(last - first, 0).sum())


def _lines(points: np.ndarray) -> np.ndarray:
    """The straight lines between points: [n, 2, 2]; a single point is a line of length 0."""
    if len(points) == 1:
        return np.stack([points, points], axis=1)
    return np.stack([points[:-1], points[1:]], axis=1)


def _clipped(low: float, high: float, length: int) -> tuple[int, int]:
    """The pixels whose centres are between two positions, as a range inside 0..length."""
    return int(np.clip(np.ceil(low - 0.5), 0, length)), int(np.clip(np.floor(high - 0.5) + 1, 0, length))


def _row_ranges(lines: np.ndarray, radius: float, rows: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """First row of each line, and the row after its last, within a range of rows."""
    low, high = lines[:, :, 1].min(axis=1) - radius, lines[:, :, 1].max(axis=1) + radius
    first = np.clip(np.ceil(low - 0.5), *rows).astype(np.int64)
    return first, np.clip(np.floor(high - 0.5) + 1, *rows).astype(np.int64)


def _filled(lines: np.ndarray, radius: float, window: tuple[int, int, int, int]) -> np.ndarray:
    """Which pixels of a window (top, left, bottom, right) are at most `radius` away from one of the lines."""
    top, left, bottom, right = window
    changes = np.zeros((bottom - top, right - left + 1), dtype=np.int32)  # +1 where a run begins, -1 after its end
    for numbers, rows in _rows_at_once(lines, radius, (top, bottom)):
        begin, end = _runs(lines[numbers], rows + 0.5, radius)
        begin, end = np.maximum(begin, left), np.minimum(end, right - 1)
        some = begin <= end
        np.add.at(changes, (rows[some] - top, begin[some] - left), 1)
        np.add.at(changes, (rows[some] - top, end[some] - left + 1), -1)
    np.cumsum(changes, axis=1, out=changes)
    return changes[:, :-1] > 0


def _rows_at_once(lines: np.ndarray, radius: float, rows: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each line with each row that it crosses, in blocks: numbers of lines, and rows."""
    first, last = _row_ranges(lines, radius, rows)
    counts = np.maximum(last - first, 0)
    ends = np.cumsum(counts)
    for start in range(0, int(ends[-1]), _AT_ONCE):
        places = np.arange(start, min(start + _AT_ONCE, int(ends[-1])))
        numbers = np.searchsorted(ends, places, side="right")
        yield numbers, first[numbers] + places - (ends - counts)[numbers]


def _runs(lines: np.ndarray, y: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last pixel within `radius` of each line at a height.

    What is within a radius of a line is convex, so that these pixels are a run. Its ends are computed, and then checked
    by the distance itself, because pixels at exactly the radius would depend on rounding.

    Args:
        lines: [n, 2, 2], two points (x, y) each.
        y: [n] heights.
        radius: above 0.

    Returns:
        [n] int64 each; the first exceeds the last where there is no such pixel.
    """
    low, high = _crossing(lines, y, radius)
    found = low <= high
    low, high = np.where(found, low, 0.0), np.where(found, high, -2.0)
    begin, end = np.ceil(low - 0.5).astype(np.int64), np.floor(high - 0.5).astype(np.int64)
    before, after = _near(lines, begin - 1, y, radius), _near(lines, end + 1, y, radius)
    begin = np.where(before & found, begin - 1, np.where(_near(lines, begin, y, radius), begin, begin + 1))
    end = np.where(after & found, end + 1, np.where(_near(lines, end, y, radius), end, end - 1))
    return begin, np.where(found, end, begin - 1)


def _crossing(lines: np.ndarray, y: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a height enters and leaves the shape around each line: two half discs and a rectangle."""
    low, high = np.full(len(y), np.inf), np.full(len(y), -np.inf)

    def include(at: np.ndarray, where: np.ndarray) -> None:
        np.minimum(low, at, out=low, where=where)
        np.maximum(high, at, out=high, where=where)

    for x, centre in ((lines[:, n, 0], lines[:, n, 1]) for n in range(2)):
        half = np.sqrt(np.maximum(radius**2 - (y - centre) ** 2, 0))
        meets = np.abs(y - centre) <= radius
        include(x - half, meets)
        include(x + half, meets)
    along = lines[:, 1] - lines[:, 0]
    length = np.hypot(along[:, 0], along[:, 1])
    direction = along / np.where(length > 0, length, 1)[:, None]  # first, because radius / length may overflow
    normal = radius * np.stack([-direction[:, 1], direction[:, 0]], axis=1)
    corners = [lines[:, 0] + normal, lines[:, 1] + normal, lines[:, 1] - normal, lines[:, 0] - normal]
    for one, other in zip(corners, [*corners[1:], corners[0]], strict=True):
        rise = other[:, 1] - one[:, 1]
        meets = (np.minimum(one[:, 1], other[:, 1]) <= y) & (y <= np.maximum(one[:, 1], other[:, 1])) & (rise != 0)
        share = (y - one[:, 1]) / np.where(rise != 0, rise, 1)
        include(one[:, 0] + share * (other[:, 0] - one[:, 0]), meets)
    return low, high


def _near(lines: np.ndarray, column: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Whether the centres of pixels in these columns, at these heights, are within `radius` of their lines."""
    point = np.stack([column + 0.5, y], axis=1)
    along, to = lines[:, 1] - lines[:, 0], point - lines[:, 0]
    squared = (along**2).sum(axis=1)
    share = np.clip((along * to).sum(axis=1) / np.where(squared > 0, squared, 1), 0, 1)
    return np.asarray(((to - share[:, None] * along) ** 2).sum(axis=1) <= radius**2)
