"""Pieces of an image that are to become exemplars, and the exemplars that they become."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco

from model_store.exemplar_table import exemplar_id
from model_store.live import AddedExemplar, Scope
from service.editing.class_names import ClassRef, check_name
from service.records.edit_log import EditLog
from service.records.image_store import ImageFile

MAX_PIECES = 5000  # that one edit makes exemplars of: of an image, or marked on answers


class Piece(NamedTuple):
    """A labelled segment that is to become an exemplar.

    prototype: [D] float32 unit vector; ref: its class; bbox: x, y, width, height; area: pixels; mask: COCO compressed
    run lengths; stroked: a person marked exactly these pixels, so its class must win the vote on them.
    """

    prototype: np.ndarray
    ref: ClassRef
    bbox: tuple[int, int, int, int]
    area: int
    mask: str
    stroked: bool = False


class Source(NamedTuple):
    """Where pieces come from. image: the file; name: a name of the image for people, a part of exemplars' ids."""

    image: ImageFile
    name: str


class ImageFacts(NamedTuple):
    """An image whose parts become exemplars. image_id: SHA-256 of its content; width, height: upright, pixels."""

    image_id: str
    width: int
    height: int


class Mark(NamedTuple):
    """A piece of an image with its class, which is to become an exemplar.

    source: a name of the image for people, a part of the exemplar's id; segment_id: the recorded segment that it is,
    or the rest of it that no stroke covers; None: a part of an image that no answer names.
    """

    piece: Piece
    image: ImageFacts
    source: str
    segment_id: str | None = None


def marks_of(source: Source, pieces: Sequence[Piece]) -> list[Mark]:
    """Pieces of one image as marks."""
    image = ImageFacts(source.image.image_id, source.image.width, source.image.height)
    return [Mark(piece, image, source.name) for piece in pieces]


def class_token(log: EditLog, class_id: int, ref: ClassRef) -> str:
    """The text that stands for a class in an exemplar's id.

    It does not change when the class is renamed, and differs between two classes that had the same name.
    """
    if class_id < len(log.classes):
        return log.first_name(class_id)
    first = log.first_name(class_id) if class_id < len(log.class_states()) else check_name(str(ref.name))
    return f"{first}#{class_id}"


def exemplar_of(log: EditLog, mark: Mark, class_id: int, strength: float, scope: Scope) -> AddedExemplar:
    """The exemplar that a mark becomes, with an id that follows from its content."""
    piece, image, token = mark.piece, mark.image, class_token(log, class_id, mark.piece.ref)
    content = mark.source if strength == 1 else f"{mark.source}\0{strength:g}"
    content = content if scope == "all" else f"{content}\0this image"
    return AddedExemplar(
        exemplar_id(piece.prototype, token, content, piece.mask), piece.prototype, class_id, strength, image.image_id,
        mark.source, image.width, image.height, piece.bbox, piece.area, piece.mask, scope,
    )  # fmt: skip


def overridden(
    pieces: Sequence[Piece], class_ids: Sequence[int], present: Sequence[AddedExemplar]
) -> list[AddedExemplar]:
    """The exemplars of an image whose pixels all lie under pieces of other classes, so that these replace them.

    Args:
        pieces: of the image, which a person marked.
        class_ids: the class of each.
        present: exemplars of the image.
    """
    found = []
    unions: dict[int, dict[str, object] | None] = {}
    for one in present:
        size = [one.height, one.width]
        if one.class_id not in unions:
            others = [
                {"size": size, "counts": piece.mask.encode("ascii")}
                for piece, class_id in zip(pieces, class_ids, strict=True)
                if class_id != one.class_id
            ]
            unions[one.class_id] = coco.merge(others) if others else None
        union = unions[one.class_id]
        if union is None or union["size"] != size:
            continue
        common = coco.merge([{"size": size, "counts": one.mask.encode("ascii")}, union], True)
        if int(coco.area(common)) == one.area:
            found.append(one)
    return found
