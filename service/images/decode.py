"""Decoding of image files that callers send: `model_store.images`, with its faults as answers."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from model_store import images
from model_store.images import ImageFault, Mask
from service.problems import Problem

_STATUS = {"empty": 400, "too large": 413, "unsupported": 415, "damaged": 422}


def decode(content: bytes, max_pixels: int) -> np.ndarray:
    """Decode an image: [H, W, 3] uint8 RGB, see `model_store.images.decode`.

    Raises:
        Problem: 400 if empty, 413 if too large, 415 if not an image of a supported format, 422 if damaged.
    """
    with _problems():
        return images.decode(content, max_pixels).pixels


def decode_reduced(content: bytes, max_pixels: int, working_size: int, max_full: int | None = None) -> images.Decoded:
    """Decode an image for the network, see `model_store.images.decode_reduced`.

    Raises:
        Problem: as `decode`.
    """
    with _problems():
        return images.decode_reduced(content, max_pixels, working_size, max_full)


def decode_within(content: bytes, max_pixels: int, max_full: int) -> images.Decoded:
    """Decode an image in full, or a large JPEG at a fraction, see `model_store.images.decode_within`.

    Raises:
        Problem: as `decode`.
    """
    with _problems():
        return images.decode_within(content, max_pixels, max_full)


def pixels_of(
    content: bytes,
    max_pixels: int,
    max_ratio: float = math.inf,
    working_size: int | None = None,
    max_full: int | None = None,
) -> int:
    """Count the pixels of an image by its header, see `model_store.images.pixels_of`.

    Raises:
        Problem: as `decode`; 413 also if the compression ratio is too high.
    """
    with _problems():
        return images.pixels_of(content, max_pixels, max_ratio, working_size, max_full)


def decode_mask(content: bytes, max_pixels: int) -> Mask:
    """Decode a mask file, see `model_store.images.decode_mask`.

    Raises:
        Problem: 400 if empty, 413 if too large, 415 if it has neither indices nor colours, 422 if damaged.
    """
    with _problems():
        return images.decode_mask(content, max_pixels)


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except ImageFault as fault:
        raise Problem(
            _STATUS[fault.fault], fault.title, received=fault.received, allowed=fault.allowed, fix=fault.fix
        ) from fault
