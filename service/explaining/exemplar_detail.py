"""Exemplars as they are told: the release's and those that edits added, alive or not."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from model_store.explanation import exemplar_facts
from model_store.live import LiveExemplars
from segsort.masks import decode_rle
from service.images.decode import decode
from service.images.drawing import exemplar_image, outlined_crop
from service.problems import Problem
from service.records.image_store import ImageFile, ImageStore
from service.records.live_release import LiveRelease


def exemplar_json(live: LiveRelease, row: int, state: LiveExemplars | None = None) -> dict[str, Any]:
    """An exemplar, where it can be fetched, whose it is, and when it came and went."""
    state = live.state if state is None else state
    told = exemplar_facts(state, row)
    exemplar_id = told["exemplar_id"]
    added_in = live.log.added_in.get(exemplar_id)
    return told | {
        "added_in": added_in,
        "removed_in": live.log.removed_in(exemplar_id),
        "author": None if added_in is None else live.log.edits[added_in].author,
        "release": live.name,
        "image_url": f"/exemplars/{exemplar_id}/image",
        "crop_url": f"/exemplars/{exemplar_id}/crop",
    }


def exemplar_rows(live: LiveRelease, class_id: int | None, query: str | None, removed: bool) -> Iterator[int]:
    """Rows of the exemplars of a class, or of all, those that edits added last first.

    Args:
        live: the release.
        class_id: of which class; None: of any.
        query: what occurs in their id or source, however its letters are cased; None: anything.
        removed: those that were removed, rather than those that are there.
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
    """The picture that an exemplar lies in.

    Raises:
        Problem: 404 if the database has lost it.
    """
    added = live.state.added(row)
    if added is None:
        image_id = int(live.release.exemplars.image_ids[row])
        source, file = live.release.sources[image_id], live.release.image_path(image_id)
        return ImageFile.of(file.read_bytes(), (source.height, source.width))
    picture = images.get(added.image_id)
    if picture is None:
        raise Problem(
            404, "The picture of this exemplar is not in the database.", received=added.exemplar_id,
            fix="The operator should put the database back as it was: pictures of exemplars are never removed.",
        )  # fmt: skip
    return picture


def exemplar_crop(live: LiveRelease, row: int, images: ImageStore, max_pixels: int) -> Image.Image:
    """The part of its picture around an exemplar, its mask outlined."""
    told = exemplar_facts(live.state, row)
    if live.state.added(row) is None:
        image = np.asarray(exemplar_image(live.release, int(live.release.exemplars.image_ids[row])))
    else:
        image = decode(exemplar_file(live, row, images).content, max_pixels)
    return outlined_crop(image, decode_rle(told["mask"]["counts"], tuple(told["mask"]["size"])), told["bbox"])


def _removed(live: LiveRelease, state: LiveExemplars) -> np.ndarray:
    found = (state.row(name) for name in live.log.touched() if not live.log.is_alive(name, state.revision))
    return np.array(sorted(row for row in found if row is not None), dtype=np.int64)


def _source(state: LiveExemplars, row: int) -> str:
    added = state.added(row)
    if added is not None:
        return added.source
    return state.release.sources[int(state.release.exemplars.image_ids[row])].source
