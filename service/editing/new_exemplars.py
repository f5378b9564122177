"""New exemplars: the segments of an annotated image."""

import numpy as np

from segsort.masks import encode_rle
from segsort.segments import LabelledSegments, split_by_label
from service.answering.engine import Engine
from service.answering.served import ServedRelease
from service.editing.annotations import IGNORE, LabelMap
from service.editing.curation import Piece
from service.problems import Problem

MIN_AREA = 0.0001  # smallest piece that becomes an exemplar, as a share of its image; also used by `segsort build`
MAX_PIECES = 5000


def pieces_of(
    engine: Engine, served: ServedRelease, image: np.ndarray, labels: LabelMap, segments: int | None
) -> list[Piece]:
    """Sort the pixels of an image into segments, and split the segments at the borders of the annotated classes.

    Args:
        engine: embeds the image.
        served: the release whose network embeds the image, and which gets the exemplars.
        image: [H, W, 3] uint8, upright.
        labels: the annotated class of each pixel.
        segments: K at the start of pixel sorting; None for the number in the release's card.

    Returns:
        The pieces of at least `MIN_AREA`. A class without such a piece has its largest piece.

    Raises:
        Problem: 422 if there are too many pieces.
    """
    embeddings, found = engine.embed(image, segments, served)
    split = split_by_label(found, embeddings.cpu(), labels.values, IGNORE, 0.0)
    chosen = _large_enough(split, image.shape[0] * image.shape[1])
    if len(chosen) > MAX_PIECES:
        raise Problem(
            422, "The image would add too many exemplars at once.", received=f"{len(chosen)} labelled segments",
            allowed=f"at most {MAX_PIECES}", fix="Annotate fewer parts of the image, or request fewer `segments`.",
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
