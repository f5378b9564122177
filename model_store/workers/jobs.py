"""The work that a worker does: functions of `model_store.images` on the content of a file."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from model_store import images
from model_store.images import NO_LIMIT


class Done(NamedTuple):
    """A result: a JSON value, arrays, and the content of a file; None: the file that was sent, or none."""

    value: Any
    arrays: tuple[np.ndarray, ...] = ()
    content: bytes | None = None


Work = Callable[..., Done]


def _decoded(found: images.Decoded) -> Done:
    return Done({"size": found.size, "conversion": found.conversion}, (found.pixels,))


def _mask(found: images.Mask) -> Done:
    optional = (found.indices, found.transparent)
    value = {"indexed": found.indexed, "lossy": found.lossy, "has": [one is not None for one in optional]}
    return Done(value, (found.colours, *(one for one in optional if one is not None)))


def _page(content: bytes, found: images.Page) -> Done:
    return Done([found.number, found.pages], (), None if found.content is content else found.content)


JOBS: Mapping[str, Work] = {
    "decode": lambda content, **limits: _decoded(images.decode(content, **limits)),
    "decode_reduced": lambda content, **limits: _decoded(images.decode_reduced(content, **limits)),
    "decode_within": lambda content, **limits: _decoded(images.decode_within(content, **limits)),
    "decode_for_view": lambda content, **limits: _decoded(images.decode_for_view(content, **limits)),
    "decode_mask": lambda content, **limits: _mask(images.decode_mask(content, **limits)),
    "pixels_of": lambda content, **limits: Done(images.pixels_of(content, **limits)),
    "take_page": lambda content, number: _page(content, images.take_page(content, number)),
}
LABELLED = ("open_labelled", "labels", "label_counts", "own_part")  # see `labelled_jobs`
HEADERS = ("pixels_of", "take_page")  # work that decodes nothing


def pixels_to_decode(job: str, content: bytes, limits: Mapping[str, Any]) -> int:
    """Pixels of the image in a file, by which its decoding may take time and memory; 0 if nothing is decoded.

    Raises:
        ImageFault: if its header cannot be read, or states too many pixels.
    """
    if job in HEADERS:
        return 0
    largest = limits.get("max_full") or limits.get("max_pixels") or NO_LIMIT
    return images.pixels_of(content, max(largest, limits.get("max_pixels") or 0))
