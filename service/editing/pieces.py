"""Pieces of an image that are to become exemplars, and the exemplars that they become."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco
from sqlalchemy import Connection, select

from model_store.exemplar_table import exemplar_id
from model_store.live import AddedExemplar
from service.editing.class_names import ClassRef, check_name
from service.editing.joint_strength import joint_strengths
from service.records.edit_log import EditLog
from service.records.image_store import ImageFile
from service.records.live_release import LiveRelease
from service.records.tables import ExemplarRow


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


def exemplars_of(
    log: EditLog, source: Source, pieces: Sequence[Piece], class_ids: Sequence[int], strengths: Sequence[float]
) -> list[AddedExemplar]:
    """The exemplars that pieces become, with ids that follow from their content.

    Args:
        log: the edits of the release.
        source: of the pieces.
        pieces: n pieces.
        class_ids: the class of each.
        strengths: the strength of each.
    """
    return [
        _exemplar(log, source, piece, class_id, strength)
        for piece, class_id, strength in zip(pieces, class_ids, strengths, strict=True)
    ]


def class_token(log: EditLog, class_id: int, ref: ClassRef) -> str:
    """The text that stands for a class in an exemplar's id.

    It does not change when the class is renamed, and differs between two classes that had the same name.
    """
    if class_id < len(log.classes):
        return log.first_name(class_id)
    first = log.first_name(class_id) if class_id < len(log.class_states()) else check_name(str(ref.name))
    return f"{first}#{class_id}"


def added_to_image(connection: Connection, live: LiveRelease, image_id: str) -> list[AddedExemplar]:
    """The exemplars of an image that edits added and that are alive, the oldest first."""
    query = select(ExemplarRow.exemplar_id).where(ExemplarRow.release == live.name, ExemplarRow.image_id == image_id)
    found = []
    for name in connection.execute(query.order_by(ExemplarRow.revision, ExemplarRow.place)).scalars():
        row = live.state.row(name)
        added = None if row is None else live.state.added(row)
        if added is not None and live.log.is_alive(name):
            found.append(added)
    return found


def stroked_exemplars(
    live: LiveRelease,
    source: Source,
    pieces: Sequence[Piece],
    class_ids: Sequence[int],
    present: Sequence[AddedExemplar],
    ks: Collection[int],
) -> list[AddedExemplar]:
    """The exemplars that pieces of strokes become: each so strong that its class wins the vote on its pixels.

    A piece that is an exemplar already stays this exemplar, with its strength.

    Args:
        live: the release.
        source: of the pieces.
        pieces: n pieces of strokes.
        class_ids: the class of each.
        present: what `added_to_image` returns.
        ks: numbers of exemplars that may vote.
    """
    same = {(e.class_id, e.source, e.mask, e.prototype.tobytes()): e for e in present}
    keys = [
        (class_id, source.name, piece.mask, piece.prototype.tobytes())
        for piece, class_id in zip(pieces, class_ids, strict=True)
    ]
    new = [n for n, key in enumerate(keys) if key not in same]
    if new:
        gone = {live.state.row(e.exemplar_id) for e in overridden(pieces, class_ids, present)}
        prototypes, classes = np.stack([pieces[n].prototype for n in new]), np.array([class_ids[n] for n in new])
        strengths = joint_strengths(live.state, prototypes, classes, ks, gone).tolist()
        made = exemplars_of(live.log, source, [pieces[n] for n in new], classes.tolist(), strengths)
        same |= dict(zip((keys[n] for n in new), made, strict=True))
    return [same[key] for key in keys]


def overridden(
    pieces: Sequence[Piece], class_ids: Sequence[int], present: Sequence[AddedExemplar]
) -> list[AddedExemplar]:
    """The exemplars of an image whose pixels all lie under strokes of other classes, so that these replace them.

    Args:
        pieces: of the strokes.
        class_ids: the class of each.
        present: what `added_to_image` returns.
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


def _exemplar(log: EditLog, source: Source, piece: Piece, class_id: int, strength: float) -> AddedExemplar:
    image, token = source.image, class_token(log, class_id, piece.ref)
    content = source.name if strength == 1 else f"{source.name}\0{strength:g}"
    return AddedExemplar(
        exemplar_id(piece.prototype, token, content, piece.mask), piece.prototype, class_id, strength, image.image_id,
        source.name, image.width, image.height, piece.bbox, piece.area, piece.mask,
    )  # fmt: skip
