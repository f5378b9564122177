"""New exemplars: the segments of an annotated image, and the pieces of the strokes drawn on it."""

from typing import NamedTuple

import numpy as np

from model_store.predictor import Sized
from segsort.arrays import on_host
from segsort.labelled_segments import LabelledSegments, split_by_label
from segsort.masks import encode_rle
from segsort.segments import Segments
from segsort.strokes import pieces_of_strokes
from service.answering.engine import Engine
from service.answering.served import ServedRelease
from service.editing.annotations import IGNORE, LabelMap
from service.editing.pieces import MAX_PIECES, Piece
from service.problems import Problem

MIN_AREA = 0.0001  # smallest piece that becomes an exemplar, as a share of its image; also used by `segsort build`


class Marks(NamedTuple):
    """The marked pixels of an image.

    areas: of annotations or a mask; strokes: of strokes, which cover the areas. None: there are none.
    """

    areas: LabelMap | None
    strokes: LabelMap | None


class MarkedImage(NamedTuple):
    """An image whose marked pixels were grouped.

    pieces: the future exemplars; strokes: the pieces of the strokes, a part of `pieces`, as segments; None: there are
    none; embeddings: [D, h, w] unit vectors of the image.
    """

    pieces: list[Piece]
    strokes: LabelledSegments | None
    embeddings: np.ndarray


def pieces_of(engine: Engine, served: ServedRelease, image: Sized, marks: Marks, segments: int | None) -> MarkedImage:
    """Sort the pixels of an image into segments, and split the segments at the borders of the marked classes.

    Args:
        engine: embeds the image.
        served: the release whose network embeds the image, and which gets the exemplars.
        image: upright.
        marks: the classes of its pixels.
        segments: K at the start of pixel sorting; None for the number in the release's card.

    Returns:
        The pieces of areas have at least `MIN_AREA`; a class without such a piece has its largest piece. The pieces of
        strokes hold every pixel under a stroke.

    Raises:
        Problem: 422 if there are too many pieces.
    """
    embedded, found = engine.embed(image, segments, served)
    embeddings, pieces = on_host(embedded), list[Piece]()
    if marks.areas is not None:
        pieces += _of_areas(marks.areas, marks.strokes, found, embeddings)
    strokes = None
    if marks.strokes is not None:
        strokes = pieces_of_strokes(found, embeddings, marks.strokes.values, IGNORE)
        pieces += _as_pieces(strokes, range(len(strokes.areas)), marks.strokes, stroked=True)
    if len(pieces) > MAX_PIECES:
        raise Problem(
            422, "The image would add too many exemplars at once.", received=f"{len(pieces)} labelled segments",
            allowed=f"at most {MAX_PIECES}", fix="Annotate fewer parts of the image, or request fewer `segments`.",
        )  # fmt: skip
    return MarkedImage(pieces, strokes, embeddings)


def _of_areas(areas: LabelMap, strokes: LabelMap | None, found: Segments, embeddings: np.ndarray) -> list[Piece]:
    values = areas.values if strokes is None else np.where(strokes.values != IGNORE, IGNORE, areas.values)
    if (values == IGNORE).all():  # strokes cover all areas
        return []
    split = split_by_label(found, embeddings, values, IGNORE, 0.0)
    return _as_pieces(split, _large_enough(split, values.size), areas, stroked=False)


def _as_pieces(split: LabelledSegments, chosen: list[int] | range, labels: LabelMap, stroked: bool) -> list[Piece]:
    masks = encode_rle(split.labels, len(split.areas))
    return [
        Piece(
            split.prototypes[n],
            labels.refs[int(split.class_ids[n])],
            tuple(split.bboxes[n].tolist()),
            int(split.areas[n]),
            masks[n],
            stroked,
        )
        for n in chosen
    ]


def _large_enough(split: LabelledSegments, pixels: int) -> list[int]:
    chosen = set(np.flatnonzero(split.areas >= MIN_AREA * pixels).tolist())
    for class_id in np.unique(split.class_ids):
        of_class = np.flatnonzero(split.class_ids == class_id)
        chosen.add(int(of_class[split.areas[of_class].argmax()]))
    return sorted(chosen)
