"""Colours for the classes of formats that have none, or too few."""

from collections.abc import Mapping, Sequence

import numpy as np

from model_store.class_info import ClassInfo
from model_store.class_names import check_names

Colour = tuple[int, int, int]

MOST_CLASSES = 255  # the label 255 means unlabelled
_LEVELS = np.linspace(0, 255, 9).round().astype(np.int64)  # of each channel
_DARKEST = 0.35  # lightness in Oklab, where black is 0 and white is 1


def class_palette(n: int, taken: Sequence[Colour] = ()) -> list[Colour]:
    """`n` different colours that are well separable from each other, black and white.

    Each colour is the candidate with the largest distance to all previous ones in Oklab
    (https://bottosson.github.io/posts/oklab), so `class_palette(k)` is the beginning of `class_palette(n)`.

    Args:
        n: at most 255.
        taken: colours that are in use; the new ones are separable from them, too.

    Returns:
        Colours as (red, green, blue), each 0..255.
    """
    candidates = np.stack(np.meshgrid(_LEVELS, _LEVELS, _LEVELS, indexing="ij"), axis=-1).reshape(-1, 3)
    points = _oklab(candidates)
    candidates, points = candidates[points[:, 0] >= _DARKEST], points[points[:, 0] >= _DARKEST]
    used = _oklab(np.array([(0, 0, 0), (255, 255, 255), *taken]))
    nearest = np.linalg.norm(points[:, None] - used[None], axis=2).min(axis=1)
    chosen = []
    for _ in range(n):
        best = int(nearest.argmax())
        red, green, blue = candidates[best].tolist()
        chosen.append((red, green, blue))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[best], axis=1))
    return chosen


def classes_of(names: Sequence[str], colours: Mapping[str, Colour] | None = None) -> tuple[ClassInfo, ...]:
    """Classes with the ids 0, 1, 2, ... in the order of their names.

    Args:
        names: of the classes.
        colours: by name. A class whose colour is missing, or is that of an earlier class, takes one of `palette`.

    Raises:
        ValueError: if there are no names, more than 255, one that is not allowed, or two that are one name.
    """
    if not 1 <= len(names) <= MOST_CLASSES:
        raise ValueError(f"there are {len(names)} classes; 1..{MOST_CLASSES} are allowed")
    check_names(names)
    given: dict[str, Colour] = {}
    for name in names:
        colour = (colours or {}).get(name)
        if colour is not None and colour not in given.values():
            given[name] = colour
    spare = iter(class_palette(len(names) - len(given), list(given.values())))
    return tuple(
        ClassInfo(class_id=i, name=name, color=given[name] if name in given else next(spare))
        for i, name in enumerate(names)
    )


def _oklab(colours: np.ndarray) -> np.ndarray:
    """[N, 3] sRGB 0..255 as [N, 3] Oklab, whose Euclidean distance is close to the perceived difference."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.asarray(
        np.cbrt(cones)
        @ np.array(
            [
                [0.2104542553, 1.9779984951, 0.0259040371],
                [0.7936177850, -2.4285922050, 0.7827717662],
                [-0.0040720468, 0.4505937099, -0.8086757660],
            ]
        )
    )
