"""Pixel sorting in eight bits as a reader would write it in numpy, and embeddings that are hard to round."""

from typing import NamedTuple

import numpy as np


class Rounded(NamedTuple):
    """Rows and means in whole numbers.

    rows: [N, D] float32, -127..127; means: [K, D] float32, -127..127; offsets: [K] float64, added to the products with
    each mean, -inf for a mean without rows; centre: [D] float32 and scale, of the rows.
    """

    rows: np.ndarray
    means: np.ndarray
    offsets: np.ndarray
    centre: np.ndarray
    scale: np.float32

    def nearest(self, rows: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Number of the nearest mean of each row [N, D] in whole numbers; its own [N] on a tie."""
        scores = rows.astype(np.float64) @ self.means.T.astype(np.float64) + self.offsets
        return np.where(scores[np.arange(len(rows)), own] == scores.max(axis=1), own, scores.argmax(axis=1))


def means_of(rows: np.ndarray, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """M-step: mean directions [K, D] float32, and the sums [K, D] float64 of which they are the directions."""
    sums = np.zeros((count, rows.shape[1]))
    np.add.at(sums, labels, rows)
    sums[np.bincount(labels, minlength=count) == 0] = 0
    return (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)).astype(np.float32), sums


def rounded(rows: np.ndarray, labels: np.ndarray, count: int) -> Rounded:
    """Round rows [N, D] float32 and the means of their groups [N]."""
    theta, sums = means_of(rows, labels, count)
    filled = np.bincount(labels, minlength=count) > 0
    centre = (sums.sum(axis=0) / len(rows)).astype(np.float32)
    middle = (theta[filled].min(axis=0) + theta[filled].max(axis=0)) / np.float32(2)
    looked_at = rows[::4] if len(rows) >= 1024 else rows
    scale, factor = (
        np.float32(127) / max(np.abs(off).max(), np.float32(1e-5))
        for off in (looked_at - centre, theta[filled] - middle)
    )
    offsets = np.where(filled, (theta - middle).astype(np.float64) @ centre.astype(np.float64), -np.inf)
    offsets = np.floor((offsets - offsets.max()) * np.float64(factor) * scale + 0.5)
    means = np.where(filled[:, None], np.floor((theta - middle) * factor + np.float32(0.5)), 0)
    return Rounded(bytes_of(rows, centre, scale), means, offsets, centre, scale)


def bytes_of(rows: np.ndarray, centre: np.ndarray, scale: np.float32) -> np.ndarray:
    """Rows [N, D] in whole numbers -127..127, as float32."""
    return np.asarray(np.floor(np.clip((rows - centre) * scale + np.float32(128.5), 1, 255)) - 128)


def lost(rows: np.ndarray, labels: np.ndarray, count: int) -> int:
    """How many means with rows are nearer to another mean than to themselves after rounding."""
    whole, numbers = rounded(rows, labels, count), np.arange(count)
    theta = bytes_of(means_of(rows, labels, count)[0], whole.centre, whole.scale)
    filled = np.bincount(labels, minlength=count) > 0
    return int((whole.nearest(theta, numbers) != numbers)[filled].sum())


def cone(
    degrees: float, dimension: int, kinds: int = 10, size: tuple[int, int] = (48, 64), seed: int = 0
) -> np.ndarray:
    """Embeddings [1, D, h, w] float32 within so many degrees of one direction, in patches of several kinds.

    The pixels of a patch differ by a tenth of the cone.
    """
    random, (h, w), radians = np.random.default_rng(seed), size, np.deg2rad(degrees)
    axis, *sides = _unit(random.standard_normal((kinds + 1, dimension)))
    across = _unit(np.stack([side - (side @ axis) * axis for side in sides]))
    angles = radians * np.sqrt(random.uniform(0.3, 1, (kinds, 1)))
    directions = np.cos(angles) * axis + np.sin(angles) * across
    rows = directions[patches(kinds, size).ravel()]
    rows = _unit(rows + 0.1 * radians / np.sqrt(dimension) * random.standard_normal(rows.shape))
    return rows.T.reshape(1, dimension, h, w).astype(np.float32)


def cones(degrees: float, dimension: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Embeddings [1, D, h, w] in three narrow cones far from each other, one beside the other in the image."""
    parts = [cone(degrees, dimension, 4, size, seed) for seed in range(3)]
    return np.choose(thirds(size), parts)


def patches(kinds: int, size: tuple[int, int]) -> np.ndarray:
    """Which kind of embedding each pixel of `cone` has: [h, w] int64."""
    (h, w) = size
    return np.add.outer(np.arange(h) * 4 // h * 3, np.arange(w) * 3 // w) % kinds


def thirds(size: tuple[int, int]) -> np.ndarray:
    """Which cone each pixel of `cones` lies in: [h, w] int64."""
    return np.broadcast_to(np.arange(size[1]) * 3 // size[1], size)


def purity(labels: np.ndarray, kinds: np.ndarray) -> float:
    """Share of pixels that are of the most frequent kind of their segment."""
    most = [np.bincount(kinds[labels == label]).max() for label in np.unique(labels)]
    return float(np.sum(most) / labels.size)


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))
