"""COCO's run-length encodings, uncompressed and compressed."""

import numpy as np

from model_store.labelled.coco_document import Runs


def covered(runs: Runs, size: tuple[int, int]) -> np.ndarray:
    """The pixels of run lengths, [H, W] bool. Runs go down the columns, and the first one is not covered.

    Args:
        runs: of an annotation.
        size: (H, W) of the image.

    Raises:
        ValueError: if they are of another size, or do not add up to it.
    """
    H, W = runs.size
    if runs.size != size:
        raise ValueError(f"a run-length encoding is for {W}x{H} pixels, the upright image has {size[1]}x{size[0]}")
    counts = decoded_counts(runs.counts) if isinstance(runs.counts, str) else runs.counts
    if counts.min() < 0 or counts.max() > H * W or counts.sum() != H * W:
        raise ValueError(f"run lengths of {counts[:8].tolist()} ... do not add up to {W}x{H} = {H * W} pixels")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(W, H).T


def decoded_counts(text: str) -> np.ndarray:
    """The run lengths of COCO's compressed text, [N] int64.

    Each number is stored in characters from "0" (48) on, 5 bits in each, the lowest first; 32 is added to all but the
    last, whose bit 16 is the sign. From the fourth number on, the difference to the number two before is stored
    (`rleToString` in https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c).

    Raises:
        ValueError: if a character is not one of these, or the last number is not complete.
    """
    units = np.frombuffer(text.encode("ascii", errors="replace"), dtype=np.uint8).astype(np.int64) - 48
    if units.min() < 0 or units.max() > 63 or units[-1] & 32:
        raise ValueError("a compressed run-length encoding has a character that is not allowed, or is cut short")
    last = np.flatnonzero((units & 32) == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() > 11:
        raise ValueError("a compressed run-length encoding has a number of more than 60 bits")
    place = np.arange(len(units)) - np.repeat(first, last - first + 1)
    values = np.add.reduceat((units & 31) << (5 * place), first)
    negative = (units[last] & 16) != 0
    values = np.where(negative, values - (np.int64(1) << np.minimum(5 * (last - first + 1), 62)), values)
    for parity in (1, 2):  # of the numbers from the second on, each adds to the one two before
        values[parity::2] = np.cumsum(values[parity::2])
    return values
