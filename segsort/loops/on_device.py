"""Pixel sorting and outlines in torch, on the device where the embeddings are: what `kernels` does on a CPU.

Segments are the same up to rounding. Only labels and sums by segment come down, and until then nothing waits for the
device.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from segsort.sphere import normalize

_AT_ONCE = 1 << 20  # pixels whose outlines are found at once: 16 cosines each, and as many again on the way


def compiled(tensor: Tensor) -> bool:
    """Whether the compiled loops take this tensor; else torch does the work where it lies."""
    return tensor.device.type == "cpu"


def sort_hard(
    features: Tensor, labels: Tensor, left_out: Tensor | None, count: int, iterations: int
) -> tuple[Tensor, Tensor]:
    """Spherical k-means from starting labels.

    Sums are products with the membership matrix: unlike sums by atomic additions they come out alike every time.

    Args:
        features: [B, N, D] unit vectors.
        labels: [B, N] int64, 0..count-1.
        left_out: [B, N] bool, rows that belong to no mean; None: all belong.
        count: K.
        iterations: E- and M-steps.

    Returns:
        Labels [B, N] int64, the nearest mean's for rows that are left out too, and means [B, K, D].
    """
    theta, sizes = _means(features, labels, left_out, count)
    for _ in range(iterations):
        scores = cosines(features, theta, sizes)
        best, nearest = scores.max(dim=2)
        own = scores.gather(2, labels[:, :, None])[:, :, 0]
        labels = torch.where(own == best, labels, nearest)  # a row stays where it is on a tie
        theta, sizes = _means(features, labels, left_out, count)
    return labels, theta


def cosines(features: Tensor, theta: Tensor, sizes: Tensor) -> Tensor:
    """[B, N, D], [B, K, D], [B, K] -> [B, N, K]; to an empty segment -inf, so that it is never nearest."""
    bias = torch.where(sizes > 0, 0.0, float("-inf"))[:, None, :]
    return torch.baddbmm(bias, features, theta.transpose(1, 2))


def outline(cells: Tensor, features: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Assign every pixel among the segments of the four cells around it, by interpolated cosines.

    Args:
        cells: [h, w] int64, segment of each cell.
        features: [h*w, D] of the cells.
        theta: [K, D] means of the segments.
        size: (H, W) of the answer.

    Returns:
        [H, W] int16 labels where they fit, else int32.
    """
    (h, w), (H, W) = cells.shape, size
    near = _quads(torch.arange(h * w, device=cells.device).reshape(h, w))  # [h, w, 4] cells of each quad
    candidates = _quads(cells)  # [h, w, 4] their segments
    scores = features @ theta.T  # [h*w, K]
    corners = scores[near[:, :, None, :], candidates[:, :, :, None]]  # [h, w, 4 candidates, 4 cells]
    above, down = _places(H, h, cells.device)
    left, along = _places(W, w, cells.device)
    kind = torch.int16 if len(theta) <= torch.iinfo(torch.int16).max else torch.int32
    labels = torch.empty(size, dtype=kind, device=cells.device)
    for rows in _bands(H, W):
        quad = (above[rows, None], left[None, :])
        c, u, v = corners[quad], along[None, :, None], down[rows, None, None]  # c [R, W, 4, 4]
        upper = c[..., 0] + u * (c[..., 1] - c[..., 0])
        lower = c[..., 2] + u * (c[..., 3] - c[..., 2])
        best = (upper + v * (lower - upper)).argmax(dim=2, keepdim=True)
        labels[rows] = candidates[quad].gather(2, best)[:, :, 0].to(kind)
    return labels


def sum_by_segment(vectors: Tensor, cell: np.ndarray, segment: np.ndarray, count: int) -> np.ndarray:
    """Sums of cells' vectors by segment; only these come down.

    Args:
        vectors: [D, N] float32.
        cell: [M] int64 in 0..N-1; a cell may occur often.
        segment: [M] int64, to whose sum each of them belongs; -1: to none.
        count: S.

    Returns:
        [S, D] float64.
    """
    device = vectors.device
    groups = torch.from_numpy(np.where(segment < 0, count, segment)).to(device)
    rows = vectors.T[torch.from_numpy(cell).to(device)].double()
    sums = rows.new_zeros(count + 1, len(vectors)).index_add_(0, groups, rows)  # the last row takes those of none
    return np.asarray(sums[:count].cpu().numpy())


def _means(features: Tensor, labels: Tensor, left_out: Tensor | None, count: int) -> tuple[Tensor, Tensor]:
    """Mean directions [B, K, D] and sizes [B, K] of the groups of [B, N, D]; an empty group's mean is zero."""
    member = features.new_zeros(*labels.shape, count).scatter_(2, labels[:, :, None], 1)  # [B, N, K]
    if left_out is not None:
        member = member.masked_fill(left_out[:, :, None], 0)
    return normalize(member.transpose(1, 2) @ features), member.sum(dim=1)


def _quads(cells: Tensor) -> Tensor:
    """Values of each cell and those right, below and both, the border's repeated: [h, w] -> [h, w, 4]."""
    h, w = cells.shape
    y = torch.arange(1, h + 1, device=cells.device).clamp(max=h - 1)
    x = torch.arange(1, w + 1, device=cells.device).clamp(max=w - 1)
    return torch.stack([cells, cells[:, x], cells[y], cells[y][:, x]], dim=2)


def _places(length: int, cells: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where the centres of `length` pixels lie among the centres of `cells` cells: the cell before, and how far on."""
    at = (torch.arange(length, dtype=torch.float64, device=device) + 0.5) * cells / length - 0.5
    at = at.clamp(0, cells - 1)
    before = at.long()
    return before, (at - before).float()


def _bands(height: int, width: int) -> Iterator[slice]:
    """Rows of an image in pieces of so many pixels as are worked on at once."""
    rows = max(1, _AT_ONCE // width)
    for first in range(0, height, rows):
        yield slice(first, first + rows)
