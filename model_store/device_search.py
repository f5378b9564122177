"""Exact nearest neighbours by a matrix product and top-k in torch, on the device of the prototypes."""

import numpy as np
import torch

from model_store.flavour import Device
from segsort import loops

_AT_ONCE = 1 << 26  # cosines held at once
# A device adds the products of a cosine in another order, which changes it by less than this. A row whose cosine on the
# device is lower by more than this cannot be among the nearest.
_ROUNDING = 4e-6


class DeviceSearch:
    """Finds exactly the nearest prototypes. Calls from several threads are safe.

    Args:
        prototypes: [N, D] float32 unit vectors, contiguous.
        device: where they are compared; it holds a copy.
    """

    def __init__(self, prototypes: np.ndarray, device: Device) -> None:
        self.device = torch.device(device)
        self._prototypes = prototypes
        self._columns = torch.from_numpy(prototypes).to(device).T

    def search(self, queries: np.ndarray, k: int, gone: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The nearest rows of each query, with the cosines that a CPU gives.

        Args:
            queries: [Q, D] float32 unit vectors, contiguous.
            k: how many; all that are left, if these are fewer.
            gone: [N] bool, rows that are never found; None: any may be.

        Returns:
            Cosines [Q, k'] float32, best first, and rows [Q, k'] int64; equal cosines are in the order of their rows.
        """
        removed = np.flatnonzero(gone) if gone is not None else np.zeros(0, dtype=np.int64)
        left = len(self._prototypes) - len(removed)
        k = min(k, left)
        best, found = np.empty((len(queries), k), dtype=np.float32), np.empty((len(queries), k), dtype=np.int64)
        hidden = torch.from_numpy(removed).to(self.device)
        step = max(1, _AT_ONCE // max(1, len(self._prototypes)))
        for first in range(0, len(queries) if k else 0, step):
            part = slice(first, first + step)
            best[part], found[part] = self._search(queries[part], k, left, hidden)
        return best, found

    def _search(self, queries: np.ndarray, k: int, left: int, hidden: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        scores = torch.from_numpy(queries).to(self.device) @ self._columns  # [Q, N]
        scores.index_fill_(1, hidden, -2)  # less than any cosine
        wanted = min(k + 1 + k // 8, left)  # more than k, to see whether rows as near as the k-th follow
        while True:
            near, rows = (part.cpu().numpy() for part in scores.topk(wanted, dim=1))
            cosines = loops.cosines_of(self._prototypes, queries, rows)
            order = np.lexsort((rows, -cosines), axis=1)[:, :k]
            best = np.take_along_axis(cosines, order, axis=1)
            if wanted == left or (best[:, -1] > near[:, -1] + _ROUNDING).all():
                return best, np.take_along_axis(rows, order, axis=1)
            wanted = min(2 * wanted, left)
