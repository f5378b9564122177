"""Writes the live state of a release as a new release: the alive exemplars and their images."""

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from model_store.added import AddedExemplar
from model_store.card import Card, ClassInfo
from model_store.exemplar_table import Exemplars, SourceImage
from model_store.images import decode
from model_store.live import LiveExemplars
from model_store.release import IMAGES, Release, ReleaseError, write_release

WEBP_SIDE = 16383  # pixels; maximum side of a WebP image; larger images are stored as PNG
WEBP_QUALITY = 80  # of 100


def write_live(
    state: LiveExemplars,
    out: Path,
    images: Callable[[str], bytes],
    name: str | None = None,
    pixels_of: Callable[[bytes], np.ndarray] | None = None,
) -> Release:
    """Write the live state of a release as a new release that gives the same answers to new images.

    Exemplars keep their ids, order and strengths. Classes keep their ids and current names, and retired classes stay
    retired. Exemplars that vote for one image alone are left out, because they would vote for every image; the card has
    their number. Images of the original are copied unchanged; images of added exemplars are stored as WebP.

    Args:
        state: live state. If no exemplar is alive, the new release has none.
        out: folder of the release; it must not exist.
        images: returns the content of the image of an added exemplar by its image_id.
        name: name of the release; None: the name of the folder.
        pixels_of: decodes an image to [H, W, 3] uint8 RGB, or raises ValueError; None: as `model_store.images.decode`.

    Raises:
        ReleaseError: if `out` exists, or an image cannot be decoded or differs in size from what its exemplars state.
            No files are left behind.
    """
    out = Path(out)
    rows = state.for_image(None).voting_rows()
    kept = _kept_images(state, rows)
    exemplars = _exemplars(state, rows, kept)
    sources = [image.source for image in kept.values()]
    card = _card(state, name or out.name, exemplars)
    decoder = pixels_of if pixels_of is not None else lambda content: decode(content).pixels
    files = _files(state.release, list(kept.values()), images, decoder)
    return write_release(out, card, state.release.network_path, exemplars, sources, files, state.release.attachments)


class _Kept(NamedTuple):
    """An image of the new release. number: position there; origin: position in the old release, or image_id."""

    number: int
    source: SourceImage
    origin: int | str


def _kept_images(state: LiveExemplars, rows: np.ndarray) -> dict[object, _Kept]:
    """The images of the exemplars: those of the release by position, those of added exemplars by `_key`."""
    old, N = state.release, state.index.ntotal
    kept: dict[object, _Kept] = {}
    for image in np.unique(old.exemplars.image_ids[rows[rows < N]]).tolist():
        was = old.sources[image]
        file = _file(len(kept), Path(was.file).suffix)
        kept[image] = _Kept(len(kept), SourceImage(file, was.source, was.width, was.height), image)
    for row in rows[rows >= N].tolist():
        one = _added(state, row)
        if _key(one) not in kept:
            suffix = ".webp" if max(one.width, one.height) <= WEBP_SIDE else ".png"
            source = SourceImage(_file(len(kept), suffix), one.source, one.width, one.height)
            kept[_key(one)] = _Kept(len(kept), source, one.image_id)
    return kept


def _exemplars(state: LiveExemplars, rows: np.ndarray, kept: dict[object, _Kept]) -> Exemplars:
    """The alive exemplars, with image ids of the new release."""
    old, N = state.release.exemplars, state.index.ntotal
    base, added = rows[rows < N], [_added(state, row) for row in rows[rows >= N].tolist()]
    image_ids = [kept[image].number for image in old.image_ids[base].tolist()] + [
        kept[_key(one)].number for one in added
    ]
    strengths = state.strengths(rows)
    return Exemplars(
        ids=state.ids(rows),
        prototypes=state.prototypes(rows),
        class_ids=state.class_ids(rows),
        image_ids=np.array(image_ids, dtype=np.int32),
        bboxes=np.concatenate([old.bboxes[base], np.array([one.bbox for one in added], np.int32).reshape(-1, 4)]),
        areas=np.concatenate([old.areas[base], np.array([one.area for one in added], dtype=np.int64)]),
        masks=[old.masks[row] for row in base.tolist()] + [one.mask for one in added],
        strengths=None if (strengths == 1).all() else strengths,
    )


def _card(state: LiveExemplars, name: str, exemplars: Exemplars) -> Card:
    """The card of the original with new name, classes and data; metrics are dropped, because exemplars have changed.

    If it has images that users added, its description and licence say so.
    """
    old, of_one_image = state.release.card, state.counts_of_one_image
    counts, original = state.counts_per_class - of_one_image, int((state.alive_rows() < state.index.ntotal).sum())
    added = len(exemplars) - original
    edited: dict[str, Any] = {
        "release": old.name,
        "index_revision": state.revision,
        "exemplars": len(exemplars),
        "exemplars_per_class": {info.name: int(counts[info.class_id]) for info in state.classes},
        "added": added,
        "removed": state.index.ntotal - original,
        **({"left_out_for_one_image_only": int(of_one_image.sum())} if of_one_image.any() else {}),
    }
    changes = {
        "name": name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "classes": _unique_classes(state),
        "retired": sorted(state.retired),
        "data": {**old.data, "edited": edited},
        "metrics": {},
        **(_of_users(old) if added else {}),
    }
    return Card.model_validate({**old.model_dump(), **changes})


def _of_users(old: Card) -> dict[str, Any]:
    """Description and licence of a release that users added images to, while `old` was served."""
    before = old.licence.get("added")
    statement = f"images that users added while release {old.name} was served; their licence was not stated"
    licence = {**old.licence, "added": statement if before is None else f"{before}; {statement}"}
    if before is not None:
        return {"licence": licence}
    if "exemplars" in old.licence:
        licence["exemplars"] = f"as built, without added images: {old.licence['exemplars']}"
    described = f" As built, without them: {old.description}" if old.description else ""
    return {"licence": licence, "description": f"Release {old.name} with images that users added.{described}"}


def _unique_classes(state: LiveExemplars) -> list[dict[str, Any]]:
    """The classes with unique names: a retired class is renamed if a later class has taken its name."""
    taken = {info.name for info in state.classes if info.class_id not in state.retired}
    classes = []
    for info in state.classes:
        label = info.name
        while info.class_id in state.retired and label in taken:
            label += " (retired)"
        taken.add(label)
        classes.append(ClassInfo(class_id=info.class_id, name=label, color=info.color).model_dump())
    return classes


def _files(
    release: Release, kept: list[_Kept], images: Callable[[str], bytes], pixels_of: Callable[[bytes], np.ndarray]
) -> Iterator[tuple[str, bytes]]:
    """File name and content of each image, one at a time, so that they are not all in memory."""
    for image in kept:
        if isinstance(image.origin, int):
            yield image.source.file, release.image_path(image.origin).read_bytes()
        else:
            yield image.source.file, _encoded(image.source, images(image.origin), pixels_of)


def _encoded(source: SourceImage, content: bytes, pixels_of: Callable[[bytes], np.ndarray]) -> bytes:
    """Encode an image for a release, as WebP or PNG."""
    try:
        image = Image.fromarray(pixels_of(content))
    except ValueError as error:
        raise ReleaseError(f"the image {source.source!r} cannot be decoded ({error}); remove its exemplars") from error
    if image.size != (source.width, source.height):
        raise ReleaseError(
            f"the image {source.source!r} has {image.width}x{image.height} pixels, but its exemplars state "
            f"{source.width}x{source.height}; provide the image that they were marked in, or remove them"
        )
    buffer = io.BytesIO()
    if source.file.endswith(".webp"):
        image.save(buffer, "WEBP", quality=WEBP_QUALITY, method=6)
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def _file(number: int, suffix: str) -> str:
    return f"{IMAGES}/{number:05d}{suffix}"


def _added(state: LiveExemplars, row: int) -> AddedExemplar:
    one = state.added(row)
    if one is None:
        raise ValueError(f"row={row} is an exemplar of the release; give the row of an added exemplar")
    return one


def _key(one: AddedExemplar) -> tuple[str, str]:
    """Key of an image: its id and name, because one image may have been sent with several names."""
    return one.image_id, one.source
