"""Marks on recorded answers: the pieces that they become, and the segments that they divide."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from segsort.pixel_sorting import SortingOptions
from segsort.runs import Encoded, encode_positions, positions_of
from segsort.strokes import Pieces, Pixels, pieces_of_pixels
from service.answering.answers import Shapes
from service.answering.splitting import MarkedPixels, Split, segments_at, split_by_strokes
from service.editing.class_names import ClassRef, ClassRefs
from service.editing.pieces import ImageFacts, Mark, Piece
from service.editing.strokes import Stroke, drawn_strokes
from service.images.strokes import Covered
from service.problems import Problem
from service.records.database import Answered
from service.records.image_store import unnamed_source

_NONE = -1  # of pixels that no stroke covers


class MarkedAnswer(NamedTuple):
    """The marks on an answer. split: the segments after strokes divided some of them; None: there are no strokes."""

    marks: list[Mark]
    split: Split | None


def image_of(answered: Answered) -> ImageFacts:
    """The image of an answer.

    Raises:
        Problem: 409 if it was not recorded.
    """
    facts = answered.facts
    if facts.image_id is None:
        raise no_image(facts.segmentation_id)
    return ImageFacts(facts.image_id, facts.width, facts.height)


def no_image(segmentation_id: str) -> Problem:
    """409: the image of an answer is not in the database."""
    return Problem(
        409, "The image of this answer is no longer kept.", received=segmentation_id,
        allowed="answers whose image is kept: image_url of GET /segmentations",
        fix="Send the image to POST /segment again, and mark the new answer. The operator can keep more images with "
        "SEGSORT_KEEP_IMAGES_MB.",
    )  # fmt: skip


def numbered(answered: Answered, labels: Mapping[str, ClassRef]) -> dict[int, ClassRef]:
    """Classes of whole segments by the number of the segment.

    Raises:
        Problem: 422 if one is not a segment of the answer.
    """
    numbers = {answered.segment_id(n): n for n in range(len(answered.segments))}
    unknown = [name for name in labels if name not in numbers]
    if unknown:
        raise Problem(
            422, "The labels name segments that this answer does not have.", received=unknown[:20],
            allowed=f"{answered.segment_id(0)} to {answered.segment_id(len(numbers) - 1)}",
            fix="Take the segment ids from this answer, or label segments of several answers with "
            "POST /segments/labels.",
        )  # fmt: skip
    return {numbers[name]: ref for name, ref in labels.items()}


def marks_of_segments(answered: Answered, labels: Mapping[int, ClassRef]) -> list[Mark]:
    """Whole segments of an answer as marks, with the prototypes and masks that were recorded."""
    image, found = image_of(answered), []
    for n, ref in labels.items():
        segment, segment_id = answered.segments[n], answered.segment_id(n)
        piece = Piece(answered.prototypes[n], ref, tuple(segment["bbox"]), segment["area"], segment["counts"], True)
        found.append(Mark(piece, image, f"correction of segment {segment_id}", segment_id))
    return found


def mark_answer(
    answered: Answered,
    labels: Mapping[int, ClassRef],
    strokes: Sequence[Stroke],
    embeddings: np.ndarray,
    options: SortingOptions,
    names: Sequence[str],
) -> MarkedAnswer:
    """Marks on an answer that strokes divide.

    The pieces are the pixels under the strokes, one piece for each segment and class. A segment that is marked as a
    whole and that strokes cross is reduced to its other pixels.

    Args:
        answered: the answer.
        labels: classes of whole segments by number.
        strokes: at least one.
        embeddings: [D, h, w] unit vectors of the image.
        options: how pixels are sorted.
        names: of the present classes.

    Raises:
        Problem: 422 if a stroke is not valid.
    """
    shapes, image, refs = Shapes.of_answer(answered), image_of(answered), ClassRefs(names)
    positions, classes = _drawn(strokes, shapes.size, refs)
    segments = segments_at(shapes, positions)
    crossed = sorted(set(np.unique(segments).tolist()) & set(labels))
    for n in crossed:
        rest = np.setdiff1d(positions_of(shapes.counts[n]), positions[segments == n], assume_unique=True)
        positions, segments = np.append(positions, rest), np.append(segments, np.full(len(rest), n))
        classes = np.append(classes, np.full(len(rest), refs.position(labels[n])))
    if crossed:
        order = np.argsort(positions, kind="stable")
        positions, segments, classes = positions[order], segments[order], classes[order]
    pixels = Pixels(positions % shapes.size[0], positions // shapes.size[0], shapes.size)
    pieces = pieces_of_pixels(embeddings, pixels, segments, classes)
    masks = encode_positions(positions, pieces.numbers, len(pieces.areas), shapes.size)
    marks = marks_of_segments(answered, {n: ref for n, ref in labels.items() if n not in crossed})
    marks += _marks(pieces, masks, image, refs.refs)
    split = split_by_strokes(shapes, MarkedPixels(positions, segments, pieces, masks), embeddings, options)
    return MarkedAnswer(marks, split)


def _drawn(strokes: Sequence[Stroke], size: tuple[int, int], refs: ClassRefs) -> tuple[np.ndarray, np.ndarray]:
    """The pixels under strokes: positions x * H + y [n] int64, ascending, and the class of each, a position in `refs`.

    Later strokes cover earlier ones.
    """
    drawn, held, painted = list[tuple[int, Covered]](), 0, None
    for ref, one in drawn_strokes(strokes, size):
        drawn.append((refs.position(ref), one))
        held += one.inside.size
        if held > size[0] * size[1]:  # so that many large areas take the memory of one
            painted = _painted(drawn, (0, 0, size[0], size[1]), painted)
            drawn, held = [], 0
    if painted is None:
        top, left = (min(getattr(one, axis).start for _, one in drawn) for axis in ("rows", "columns"))
        bottom, right = (max(getattr(one, axis).stop for _, one in drawn) for axis in ("rows", "columns"))
    else:
        top, left, bottom, right = 0, 0, size[0], size[1]
    values = _painted(drawn, (top, left, bottom, right), painted)
    found, height = np.flatnonzero(values != _NONE), bottom - top
    return (found // height + left) * size[0] + found % height + top, values.ravel()[found].astype(np.int64)


def _painted(
    drawn: Sequence[tuple[int, Covered]], box: tuple[int, int, int, int], values: np.ndarray | None
) -> np.ndarray:
    """Paint the classes of strokes in a box (top, left, bottom, right), over the values of earlier ones if there are.

    Returns:
        [W', H'] int16, by column; `_NONE` where there is no stroke.
    """
    top, left, bottom, right = box
    if values is None:
        values = np.full((right - left, bottom - top), _NONE, dtype=np.int16)
    for position, one in drawn:
        columns, rows = slice(one.columns.start - left, one.columns.stop - left), slice(one.rows.start - top, None)
        values[columns, rows][:, : one.inside.shape[0]][one.inside.T] = position
    return values


def _marks(pieces: Pieces, masks: Encoded, image: ImageFacts, refs: Sequence[ClassRef]) -> list[Mark]:
    """The pieces as marks, by class: an edit creates classes in the order in which the strokes name them."""
    found, source = [], unnamed_source(image.image_id)
    for n in np.argsort(pieces.class_ids, kind="stable").tolist():
        ref, box, mask = refs[int(pieces.class_ids[n])], tuple(masks.boxes[n].tolist()), masks.counts[n]
        found.append(Mark(Piece(pieces.prototypes[n], ref, box, int(pieces.areas[n]), mask, True), image, source))
    return found
