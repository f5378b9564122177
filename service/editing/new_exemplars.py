"""Showing: from a picture and what a caller says lies where in it to the segments that become exemplars."""

import numpy as np

from segsort.masks import encode_rle
from segsort.segments import LabelledSegments, split_by_label
from service.answering.engine import Engine
from service.answering.served import ServedRelease
from service.editing.annotations import IGNORE, LabelMap
from service.editing.curation import Piece
from service.problems import Problem

MIN_AREA = 0.0001  # smallest piece that becomes an exemplar, as a share of its picture; that of building, too
MOST_PIECES = 5000


def pieces_of(
    engine: Engine, served: ServedRelease, image: np.ndarray, labels: LabelMap, segments: int | None
) -> list[Piece]:
    """Sort a picture's pixels into segments and split these along the classes, as building a release does.

    Args:
        engine: that embeds the picture.
        served: the release whose network does, and whose exemplars they become.
        image: [H, W, 3] uint8, upright.
        labels: the class of each pixel, in the size of the image.
        segments: K at the start of pixel sorting; None: the card's.

    Returns:
        The pieces large enough, and of each class that has none so large the largest.

    Raises:
        Problem: 422 if these are too many.
    """
    embeddings, found = engine.embed(image, segments, served)
    split = split_by_label(found, embeddings.cpu(), labels.values, IGNORE, 0.0)
    chosen = _large_enough(split, image.shape[0] * image.shape[1])
    if len(chosen) > MOST_PIECES:
        raise Problem(
            422, "The picture would give too many exemplars at once.", received=f"{len(chosen)} labelled segments",
            allowed=f"at most {MOST_PIECES}", fix="Label fewer places, or ask for fewer `segments`.",
        )  # fmt: skip
    masks = encode_rle(split.labels, len(split.areas))
    return [
        Piece(
            split.prototypes[n],
            labels.refs[int(split.class_ids[n])],
            tuple(split.bboxes[n].tolist()),
            int(split.areas[n]),
            masks[n],
        )
        for n in chosen
    ]


def _large_enough(split: LabelledSegments, pixels: int) -> list[int]:
    chosen = set(np.flatnonzero(split.areas >= MIN_AREA * pixels).tolist())
    for class_id in np.unique(split.class_ids):
        of_class = np.flatnonzero(split.class_ids == class_id)
        chosen.add(int(of_class[split.areas[of_class].argmax()]))
    return sorted(chosen)
