"""Exemplars as JSON, as rows of a list, and as images: those of the release and those that edits added."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from model_store.explanation import exemplar_facts
from model_store.images import Decoded
from model_store.live import LiveExemplars
from segsort.masks import decode_rle
from service.answering.links import exemplar_crop_url, exemplar_image_url
from service.answering.rounding import rounded
from service.images.drawing import exemplar_image, reduced_crop
from service.problems import Problem
from service.records.image_store import ImageFile, ImageStore
from service.records.live_release import LiveRelease

Decode = Callable[[str, Callable[[], bytes]], Decoded]


def exemplar_json(live: LiveRelease, row: int, state: LiveExemplars | None = None) -> dict[str, Any]:
    """An exemplar as JSON: what it is, the URLs of its images, and the edits that added and removed it.

    Args:
        live: the release.
        row: of the exemplar.
        state: the exemplars of the release; None: as they are now.
    """
    state = live.state if state is None else state
    facts = exemplar_facts(state, row)
    exemplar_id = facts["exemplar_id"]
    added_in = live.log.added_in.get(exemplar_id)
    return facts | {
        "strength": rounded(facts["strength"]),
        "added_in": added_in,
        "removed_in": live.log.removed_in(exemplar_id),
        "author": None if added_in is None else live.log.edits[added_in].author,
        "release": live.name,
        "image_url": exemplar_image_url(exemplar_id),
        "crop_url": exemplar_crop_url(exemplar_id),
    }


def exemplar_rows(live: LiveRelease, class_id: int | None, query: str | None, removed: bool) -> Iterator[int]:
    """Rows of exemplars, those that edits added first, the latest of them first.

    Args:
        live: the release.
        class_id: only exemplars of this class; None: of any class.
        query: only exemplars whose id or source contains this text, in upper or lower case; None: any.
        removed: list the removed exemplars, in place of those that are alive.
    """
    state = live.state
    rows = _removed(live, state) if removed else state.alive_rows()
    if class_id is not None:
        rows = rows[state.class_ids(rows) == class_id]
    base = state.index.ntotal
    ordered = np.concatenate([rows[rows >= base][::-1], rows[rows < base]])
    if query is None:
        yield from ordered.tolist()
        return
    wanted = query.casefold()
    for row, name in zip(ordered.tolist(), state.ids(ordered), strict=True):
        if wanted in name or wanted in _source(state, row).casefold():
            yield row


def exemplar_file(live: LiveRelease, row: int, images: ImageStore) -> ImageFile:
    """The file of the image that an exemplar was taken from.

    Raises:
        Problem: 404 if the database does not have it.
    """
    added = live.state.added(row)
    if added is None:
        image_id = int(live.release.exemplars.image_ids[row])
        source, file = live.release.sources[image_id], live.release.image_path(image_id)
        return ImageFile.of(file.read_bytes(), (source.height, source.width))
    stored = images.get(added.image_id)
    if stored is None:
        raise Problem(
            404, "The image of this exemplar is not in the database.", received=added.exemplar_id,
            fix="Ask the operator to restore the database. Images of exemplars are never removed from it.",
        )  # fmt: skip
    return stored


def exemplar_crop(live: LiveRelease, row: int, images: ImageStore, decoded: Decode) -> Image.Image:
    """The part of the image around an exemplar, with the outline of its mask.

    Args:
        live: the release.
        row: of the exemplar.
        images: holds the images of exemplars that edits added.
        decoded: decodes one of them, from its id and a function that reads it.

    Raises:
        Problem: 404 if the database does not have the image; or what `decoded` raises.
    """
    facts, added = exemplar_facts(live.state, row), live.state.added(row)
    if added is None:
        image = np.asarray(exemplar_image(live.release, int(live.release.exemplars.image_ids[row])))
    else:
        image = decoded(added.image_id, lambda: exemplar_file(live, row, images).content).pixels
    return reduced_crop(image, decode_rle(facts["mask"]["counts"], tuple(facts["mask"]["size"])), facts["bbox"])


def _removed(live: LiveRelease, state: LiveExemplars) -> np.ndarray:
    found = (state.row(name) for name in live.log.touched() if not live.log.is_alive(name, state.revision))
    return np.array(sorted(row for row in found if row is not None), dtype=np.int64)


def _source(state: LiveExemplars, row: int) -> str:
    added = state.added(row)
    if added is not None:
        return added.source
    return state.release.sources[int(state.release.exemplars.image_ids[row])].source
