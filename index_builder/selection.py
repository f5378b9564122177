"""Selection of exemplars among labelled segments: a limited number, balanced classes and images, no near duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BALANCE = 0.1  # default of `select`'s balance
_BLOCK = 512  # rows that are compared at once


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
    distinct: float | None = None,
) -> np.ndarray:
    """Select exemplars in three steps.

    1. If there are more images than `max_images`, images are chosen one by one. Each time the image with the largest
       sum, over its classes, of 1 / (1 + number of chosen images with the class) is chosen, the first of equals.
    2. The share of a class with n segments in `max_exemplars` is proportional to n^(1 - balance): 0 keeps the
       frequencies of the classes, 1 gives all classes equal shares. What a class does not use goes to the others.
    3. Within a class, images take turns, and each gives its largest remaining segment until the share of the class is
       used. In the last turn larger segments are preferred. Large segments are cleaner; turns spread them over images.

    Near duplicates are left out before step 2, in the order of step 3: of two segments of one class whose cosine is
    `distinct` or more, the first is kept. Which of many almost equal exemplars is nearest to a segment is chance. A
    slight change of an image then replaces most of its voters, and the explanation with them, although nothing that
    matters has changed.

    Args:
        candidates: all labelled segments, N.
        num_classes: number of classes, C.
        max_exemplars: maximum number of exemplars.
        max_images: maximum number of images; None: no limit.
        balance: 0..1.
        distinct: cosine, above 0 and at most 1; None: near duplicates are kept.

    Returns:
        [M] int64, chosen rows of `candidates` in increasing order.

    Raises:
        ValueError: if a limit is below 1, or balance or distinct is out of range.
    """
    if max_exemplars < 1 or (max_images is not None and max_images < 1):
        raise ValueError(f"max_exemplars={max_exemplars}, max_images={max_images}: both must be at least 1")
    if not 0 <= balance <= 1:
        raise ValueError(f"balance={balance} must be in 0..1: 0 keeps the frequencies of the classes, 1 equalises them")
    if distinct is not None and not 0 < distinct <= 1:
        raise ValueError(
            f"distinct={distinct} must be above 0 and at most 1: it is the cosine from which two exemplars of a class "
            "count as near duplicates, for example 0.99"
        )
    rows = np.arange(len(candidates.class_ids))
    if max_images is not None:
        images = choose_images(candidates.image_ids, candidates.class_ids, num_classes, max_images)
        rows = rows[np.isin(candidates.image_ids, images)]
    class_ids = candidates.class_ids[rows]
    ordered = [_in_turns(rows[class_ids == c], candidates.image_ids, candidates.areas) for c in range(num_classes)]
    if distinct is not None:
        ordered = [one[are_distinct(candidates.prototypes[one], distinct)] for one in ordered]
    shares = share_out(np.array([len(one) for one in ordered], dtype=np.int64), max_exemplars, balance)
    chosen = [one[:share] for one, share in zip(ordered, shares.tolist(), strict=True)]
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


def are_distinct(prototypes: np.ndarray, cosine: float) -> np.ndarray:
    """Whether each of n segments of one class differs from all that are kept before it.

    Args:
        prototypes: [n, D] unit vectors, in the order in which they are kept.
        cosine: a segment with this cosine or more to a kept one is left out.

    Returns:
        [n] bool.
    """
    kept = np.zeros(len(prototypes), dtype=bool)
    for start in range(0, len(prototypes), _BLOCK):
        block = prototypes[start : start + _BLOCK]
        near = (block @ prototypes[:start][kept[:start]].T >= cosine).any(axis=1)
        alike, mine = block @ block.T >= cosine, kept[start : start + _BLOCK]
        for i in np.flatnonzero(~near):
            mine[i] = not (alike[i, :i] & mine[:i]).any()
    return kept


def _in_turns(rows: np.ndarray, image_ids: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Order of step 3 of `select` for the rows [n] of one class."""
    by_image = rows[np.lexsort((rows, -areas[rows], image_ids[rows]))]
    images = image_ids[by_image]
    starts = np.flatnonzero(np.append(True, images[1:] != images[:-1])) if len(images) else np.zeros(0, dtype=np.int64)
    turn = np.arange(len(images)) - np.repeat(starts, np.diff(np.append(starts, len(images))))
    return np.asarray(by_image[np.lexsort((by_image, -areas[by_image], turn))])
