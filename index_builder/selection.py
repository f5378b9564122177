"""Selection of exemplars among labelled segments, with a limited number and balanced classes and images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BALANCE = 0.1  # default of `select`'s balance


@dataclass(frozen=True)
class Candidates:
    """Labelled segments of the images of a build, one a row.

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
    """Select exemplars in three steps.

    1. If there are more images than `max_images`, images are chosen one by one. Each time the image with the largest
       sum, over its classes, of 1 / (1 + number of chosen images with the class) is chosen, the first of equals.
    2. The share of a class with n segments in `max_exemplars` is proportional to n^(1 - balance): 0 keeps the
       frequencies of the classes, 1 gives all classes equal shares. What a class does not use goes to the others.
    3. Within a class, images take turns, and each gives its largest remaining segment until the share of the class is
       used. In the last turn larger segments are preferred. Large segments are cleaner; turns spread them over images.

    Args:
        candidates: all labelled segments, N.
        num_classes: number of classes, C.
        max_exemplars: maximum number of exemplars.
        max_images: maximum number of images; None: no limit.
        balance: 0..1.

    Returns:
        [M] int64, chosen rows of `candidates` in increasing order.

    Raises:
        ValueError: if a limit is below 1, or balance is not in 0..1.
    """
    if max_exemplars < 1 or (max_images is not None and max_images < 1):
        raise ValueError(f"max_exemplars={max_exemplars}, max_images={max_images}: both must be at least 1")
    if not 0 <= balance <= 1:
        raise ValueError(f"balance={balance} must be in 0..1: 0 keeps the frequencies of the classes, 1 equalises them")
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
    """Step 1 of `select`: image and class of each segment, [N], [N] -> ids of the chosen images, in order of choice."""
    images, position = np.unique(image_ids, return_inverse=True)
    has_class = np.zeros((len(images), num_classes))
    has_class[position, class_ids] = 1
    remaining = np.ones(len(images), dtype=bool)
    covered = np.zeros(num_classes)
    chosen = []
    for _ in range(min(most, len(images))):
        value = np.where(remaining, has_class @ (1 / (1 + covered)), -1)
        best = int(value.argmax())
        remaining[best] = False
        covered += has_class[best]
        chosen.append(images[best])
    return np.array(chosen, dtype=image_ids.dtype)


def share_out(available: np.ndarray, total: int, balance: float) -> np.ndarray:
    """Step 2 of `select`: number of exemplars of each class, at most `available` [C] and `total` in all: [C] int64."""
    shares = np.zeros(len(available), dtype=np.int64)
    claims = np.where(available > 0, available.astype(np.float64) ** (1 - balance), 0.0)
    left = total
    for c in np.argsort(available, kind="stable"):  # the rarest class first: what it does not use goes to the others
        if available[c] > 0:
            shares[c] = min(int(available[c]), int(left * claims[c] / claims.sum() + 1e-9))
            left -= int(shares[c])
            claims[c] = 0
    return shares


def _take_turns(rows: np.ndarray, image_ids: np.ndarray, areas: np.ndarray, count: int) -> np.ndarray:
    """Step 3 of `select` for the rows [n] of one class: at most `count` of them."""
    by_image = rows[np.lexsort((rows, -areas[rows], image_ids[rows]))]
    images = image_ids[by_image]
    starts = np.flatnonzero(np.append(True, images[1:] != images[:-1])) if len(images) else np.zeros(0, dtype=np.int64)
    turn = np.arange(len(images)) - np.repeat(starts, np.diff(np.append(starts, len(images))))
    return by_image[np.lexsort((by_image, -areas[by_image], turn))[:count]]
