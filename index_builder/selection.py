"""Which labelled segments become exemplars: a rule that bounds their number and balances classes and images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BALANCE = 0.1


@dataclass(frozen=True)
class Candidates:
    """Labelled segments of the build images, one a row.

    Attributes:
        prototypes: [N, D] float32 unit vectors.
        class_ids: [N] int64.
        image_ids: [N] int64, position of the image in the data set.
        bboxes: [N, 4] int32 (x, y, width, height).
        areas: [N] int64, pixels.
        masks: N COCO compressed run lengths.
    """

    prototypes: np.ndarray
    class_ids: np.ndarray
    image_ids: np.ndarray
    bboxes: np.ndarray
    areas: np.ndarray
    masks: Sequence[str]


def select(
    candidates: Candidates,
    num_classes: int,
    max_exemplars: int,
    max_images: int | None = None,
    balance: float = BALANCE,
) -> np.ndarray:
    """Choose exemplars.

    1. With more images than `max_images`, images are chosen one by one, each time the one whose classes have been seen
       least: the largest sum of 1 / (1 + images chosen before that show the class), the first of equals.
    2. A class with n segments may have a share of max_exemplars proportional to n^(1 - balance): 0 keeps classes as
       frequent as they are, 1 makes them alike. What a class does not use is shared by the others.
    3. Within a class, images take turns, each giving its largest segment left, until the class's number is reached; in
       the last turn larger segments go before smaller ones. Large segments are clean ones, and turns spread them.

    Args:
        candidates: all labelled segments.
        num_classes: C.
        max_exemplars: at most so many are chosen.
        max_images: at most from so many images; None: from any number.
        balance: 0..1.

    Returns:
        Chosen rows, rising: [M] int64.

    Raises:
        ValueError: if a limit is below 1, or balance not in 0..1.
    """
    if max_exemplars < 1 or (max_images is not None and max_images < 1):
        raise ValueError(f"max_exemplars={max_exemplars}, max_images={max_images}: both must be at least 1")
    if not 0 <= balance <= 1:
        raise ValueError(f"balance={balance} must be in 0..1: 0 keeps the classes' frequencies, 1 makes them alike")
    rows = np.arange(len(candidates.class_ids))
    if max_images is not None:
        images = choose_images(candidates.image_ids, candidates.class_ids, num_classes, max_images)
        rows = rows[np.isin(candidates.image_ids, images)]
    class_ids = candidates.class_ids[rows]
    shares = share_out(np.bincount(class_ids, minlength=num_classes), max_exemplars, balance)
    chosen = [
        _take_turns(rows[class_ids == c], candidates.image_ids, candidates.areas, int(shares[c]))
        for c in range(num_classes)
    ]
    return np.sort(np.concatenate(chosen))


def choose_images(image_ids: np.ndarray, class_ids: np.ndarray, num_classes: int, most: int) -> np.ndarray:
    """Step 1 of `select`: [N], [N] -> chosen image ids, in the order in which they were chosen."""
    images, position = np.unique(image_ids, return_inverse=True)
    shows = np.zeros((len(images), num_classes))
    shows[position, class_ids] = 1
    left = np.ones(len(images), dtype=bool)
    seen = np.zeros(num_classes)
    chosen = []
    for _ in range(min(most, len(images))):
        worth = np.where(left, shows @ (1 / (1 + seen)), -1)
        best = int(worth.argmax())
        left[best] = False
        seen += shows[best]
        chosen.append(images[best])
    return np.array(chosen, dtype=image_ids.dtype)


def share_out(available: np.ndarray, total: int, balance: float) -> np.ndarray:
    """Step 2 of `select`: at most `available` [C] of each class, `total` in all: [C] int64."""
    shares = np.zeros(len(available), dtype=np.int64)
    claims = np.where(available > 0, available.astype(np.float64) ** (1 - balance), 0.0)
    left = total
    for c in np.argsort(available, kind="stable"):  # the poorest class first, so that what it leaves goes to all others
        if available[c] > 0:
            shares[c] = min(int(available[c]), int(left * claims[c] / claims.sum() + 1e-9))
            left -= int(shares[c])
            claims[c] = 0
    return shares


def _take_turns(rows: np.ndarray, image_ids: np.ndarray, areas: np.ndarray, count: int) -> np.ndarray:
    """Step 3 of `select`, for the rows of one class."""
    by_image = rows[np.lexsort((rows, -areas[rows], image_ids[rows]))]
    images = image_ids[by_image]
    starts = np.flatnonzero(np.append(True, images[1:] != images[:-1])) if len(images) else np.zeros(0, dtype=np.int64)
    turn = np.arange(len(images)) - np.repeat(starts, np.diff(np.append(starts, len(images))))
    return by_image[np.lexsort((by_image, -areas[by_image], turn))[:count]]
