"""Run lengths of annotations as pixels, and what all shapes share."""

from typing import Any

import numpy as np

from service.editing.rings import Work
from service.images.strokes import Covered
from service.problems import Problem

RUN_LENGTHS_FIX = "Encode the mask with pycocotools' `encode`, columns first, at the size of the upright image."


def pixels_of_run_lengths(counts: str | list[int], size: tuple[int, int], name: str, work: Work) -> Covered | None:
    """Decode run lengths.

    They are checked and decoded here, because pycocotools writes past the end of a mask if they exceed its size.

    Args:
        counts: compressed run lengths, or a list of them, columns first, background first.
        size: (H, W) of the upright image.
        name: of the annotation, for messages.
        work: counts the pixels of the columns that are covered.

    Returns:
        The pixels; None if there are none.

    Raises:
        Problem: 422 if the run lengths are malformed, do not cover the image, or cover too much in total.
    """
    H, W = size
    runs = uncompressed(counts, name, H * W) if isinstance(counts, str) else counts
    if sum(runs) != H * W:
        raise Problem(
            422, f"{name}.mask.counts do not cover the image.", received=f"runs with {sum(runs)} pixels in total",
            allowed=f"{H}x{W} = {H * W} pixels", fix=RUN_LENGTHS_FIX,
        )  # fmt: skip
    ends = np.cumsum(np.array([0, *runs], dtype=np.int64))
    inside = np.arange(len(runs)) % 2 == 1
    covered = np.flatnonzero(inside & (np.diff(ends) > 0))
    if not len(covered):
        return None
    first, last = int(ends[covered[0]]) // H, -(-int(ends[covered[-1] + 1]) // H)
    work.add((last - first) * H)
    lengths = np.diff(ends.clip(first * H, last * H))
    return Covered(slice(0, H), slice(first, last), np.repeat(inside, lengths).reshape(last - first, H).T)


def uncompressed(counts: str, name: str, most: int) -> list[int]:
    """Decompress COCO run lengths: five bits a character, least significant first, later runs as differences.

    Args:
        counts: compressed run lengths.
        name: of the annotation, for messages.
        most: pixels of the mask. Runs after those that exceed it are left out.

    Raises:
        Problem: 422 if they are malformed.
    """
    runs: list[int] = []
    value, shift, total = 0, 0, 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            found = f"the character {character!r}" if shift <= 60 else "a number that does not end"
            raise _malformed(counts, name, found)
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            raise _malformed(counts, name, f"a run of {value} pixels")
        runs.append(value)
        total += value
        if total > most:
            return runs
        value, shift = 0, 0
    if shift:
        raise _malformed(counts, name, "a number that does not end")
    return runs


def other_size(found: tuple[int, ...], size: tuple[int, int], what: str) -> Problem:
    """422: a mask has another size than the image.

    Args:
        found: (height, width) of the mask.
        size: (H, W) of the upright image.
        what: the mask, for the message.
    """
    rotated = " The mask seems rotated: the EXIF orientation of the image is applied first."
    return Problem(
        422, f"The image and {what} have different sizes.", received=f"{found[1]}x{found[0]} (width x height)",
        allowed=f"{size[1]}x{size[0]}, the size of the upright image",
        fix=f"Send the mask of this image, at its size.{rotated if found == size[::-1] else ''}",
    )  # fmt: skip


def shortened(text: str) -> str:
    """The first 200 characters of a text, without halves of surrogate pairs."""
    return text[:200].encode(errors="replace").decode()


def _malformed(counts: str, name: str, found: Any) -> Problem:
    return Problem(
        422, f"{name}.mask.counts are not COCO run lengths.", received=f"{found} in {shortened(counts[:40])}",
        allowed="compressed run lengths, or a list of numbers", fix=RUN_LENGTHS_FIX,
    )  # fmt: skip
