"""Unit vectors, mean directions and the von Mises-Fisher density on the unit sphere."""

import math

import numpy as np
import torch
from scipy.special import ive
from torch import Tensor
from torch.nn import functional as F


def normalize(vectors: Tensor, dim: int = -1) -> Tensor:
    """Scale vectors to unit length along `dim`; a zero vector stays zero instead of becoming NaN."""
    return F.normalize(vectors, dim=dim, eps=1e-12)


def mean_direction(vectors: Tensor, labels: Tensor, count: int) -> Tensor:
    """Mean direction of each group of vectors: the M-step of a hard vMF mixture (paper, eq. 4).

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


def vmf_log_normalizer(dimension: int, kappa: float) -> float:
    """Log of C_d(kappa), the factor that makes exp(kappa mu.v) a density on the unit sphere of R^d (paper, eq. 1).

    Raises:
        ValueError: if dimension < 2 or kappa <= 0.
    """
    if dimension < 2 or kappa <= 0:
        raise ValueError(
            f"dimension={dimension}, kappa={kappa}: dimension must be at least 2 and kappa positive; pass kappa > 0"
        )
    order = dimension / 2 - 1
    log_bessel = math.log(float(ive(order, kappa))) + kappa  # ive is scaled by exp(-kappa), so that it stays finite
    return order * math.log(kappa) - dimension / 2 * math.log(2 * math.pi) - log_bessel


def vmf_log_density(vectors: Tensor, means: Tensor, kappa: float) -> Tensor:
    """Log density of unit vectors under vMF distributions: [N, D], [K, D] -> [N, K]."""
    return vmf_log_normalizer(vectors.shape[1], kappa) + kappa * vectors @ means.T


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """`normalize` for numpy: [N, D] float32 -> unit rows, zero rows kept zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)
