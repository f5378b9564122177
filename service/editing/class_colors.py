"""Colours of new classes: each unlike the colours of all other classes."""

import functools
from collections.abc import Sequence

import numpy as np

Color = tuple[int, int, int]
UNKNOWN = (136, 136, 136)  # the grey of unknown segments, which no class gets
_STEP = 17  # between values of a channel of candidates
_LIGHTNESS = (0.5, 0.82)  # white and black outlines are visible on either side
_CHROMA = (0.09, 0.21)  # greys are for what is unknown; brighter colours look like neon, and several of them alike
_LIGHTNESS_COUNTS = 0.5  # in distances: colours of one hue are confused although one is lighter


def most_distinct_color(taken: Sequence[Color]) -> Color:
    """The candidate whose nearest colour among those taken is the farthest, see `distances`.

    The page chooses colours of drafted classes by the same rule (service/static/lib/oklab.js).
    """
    colors, labs = _candidates()
    nearest = distances(labs, oklab(np.array([*taken, UNKNOWN]))).min(axis=1)
    red, green, blue = colors[int(nearest.argmax())].tolist()
    return red, green, blue


def distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distances of colours in OKLab, with half the weight for lightness: [n, 3], [m, 3] -> [n, m]."""
    weights = np.array((_LIGHTNESS_COUNTS, 1, 1))
    return np.asarray(np.linalg.norm((some[:, None] - others[None]) * weights, axis=2))


def oklab(colors: np.ndarray) -> np.ndarray:
    """Colours in OKLab (B. Ottosson, 2020), in which equal distances look equal.

    Args:
        colors: [n, 3] red, green and blue, 0..255.

    Returns:
        [n, 3] lightness 0..1, and two axes of about -0.4..0.4.
    """
    values = colors / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T)


_TO_CONES = np.array(
    (
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    )
)
_TO_LAB = np.array(
    (
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    )
)


@functools.cache
def _candidates() -> tuple[np.ndarray, np.ndarray]:
    """Colours that a new class may get, and the same in OKLab; each [n, 3]."""
    steps = np.arange(0, 256, _STEP)
    colors = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    labs = oklab(colors)
    chroma = np.hypot(labs[:, 1], labs[:, 2])
    chosen = _between(labs[:, 0], _LIGHTNESS) & _between(chroma, _CHROMA)
    return colors[chosen], labs[chosen]


def _between(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return np.asarray((values >= limits[0]) & (values <= limits[1]))
