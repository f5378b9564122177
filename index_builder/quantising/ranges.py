"""The range of numbers that the bytes of each map stand for, found on images."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from index_builder.quantising.folded import FoldedNetwork

LEVELS = 255  # steps between the lowest and the highest byte
_SAMPLE = 4000  # numbers of each map that are kept of each image
_SHARES = np.linspace(0.3, 1, 24)  # of the whole range, that are tried


class Range(NamedTuple):
    """Lowest and highest number that bytes stand for. Numbers outside become the nearest of the two; 0 is inside."""

    low: float
    high: float


def find_ranges(network: FoldedNetwork, inputs: Iterable[np.ndarray], seed: int = 0) -> dict[str, Range]:
    """The range of each map for which rounding changes it least, by the mean squared error.

    A range that holds every number has larger steps, and a narrower one cuts off rare large numbers.

    Args:
        network: in float32.
        inputs: prepared images, each [1, 3, h, w] float32.
        seed: of the numbers that are drawn from each map.

    Raises:
        ValueError: if there are no images.
    """
    tensors, random = network.tensors, np.random.default_rng(seed)
    session, whole = network.with_outputs(tensors), dict[str, Range]()
    samples: dict[str, list[np.ndarray]] = {name: [] for name in tensors}
    computed = [name for name in tensors if name != "image"]
    for x in inputs:
        for name, values in zip(["image", *computed], [x, *session.run(computed, {"image": x})], strict=True):
            if name in samples:
                low, high = whole.get(name, Range(0, 0))
                whole[name] = Range(min(low, float(values.min())), max(high, float(values.max())))
                samples[name].append(random.choice(values.ravel(), min(_SAMPLE, values.size)))
    if not whole:
        raise ValueError("no image was given to find the ranges of a network's maps on; give at least one")
    return {name: best_range(whole[name], np.concatenate(samples[name])) for name in tensors}


def best_range(whole: Range, sample: np.ndarray) -> Range:
    """The part of a range for which rounding a sample to bytes gives the least mean squared error.

    Args:
        whole: range of all numbers.
        sample: [n] of these numbers.
    """
    found, least = whole, np.inf
    for share in _SHARES:
        parts = [Range(whole.low, whole.high * share)]
        if whole.low < 0:
            parts += [Range(whole.low * share, whole.high * share), Range(whole.low * share, whole.high)]
        for part in parts:
            error = float(np.square(rounded(sample, part) - sample).mean())
            if error < least:
                found, least = part, error
    return found


def rounded(values: np.ndarray, limits: Range) -> np.ndarray:
    """Numbers after they were rounded to bytes and back."""
    step = (limits.high - limits.low) / LEVELS or 1.0
    zero = np.round(-limits.low / step)
    return np.asarray((np.clip(np.round(values / step) + zero, 0, LEVELS) - zero) * step)
