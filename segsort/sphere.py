"""Unit vectors and mean directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    from segsort import lazy_torch as torch


def normalize(vectors: Tensor, dim: int = -1) -> Tensor:
    """Scale vectors to unit length along `dim`; a zero vector stays zero instead of becoming NaN."""
    return torch.nn.functional.normalize(vectors, dim=dim, eps=1e-12)


def mean_direction(vectors: Tensor, labels: Tensor, count: int) -> Tensor:
    """Mean direction of each group of vectors: their sum, scaled to unit length.

    Unlike `pixel_sorting.m_step` it takes the group of each vector, and needs no membership matrix.

    Args:
        vectors: [N, D].
        labels: [N] int64, group of each vector in 0..count-1; a negative label leaves its vector out.
        count: number of groups.

    Returns:
        [count, D] unit vectors; the row of an empty group is zero. Differentiable in `vectors`.
    """
    sums = vectors.new_zeros(count + 1, vectors.shape[1])
    groups = torch.where(labels < 0, count, labels)  # the row past the end takes what is left out
    return normalize(sums.index_add(0, groups, vectors)[:count])


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Scale rows to unit length in numpy: [N, D] float -> [N, D] float32; a row of zeros stays zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)
