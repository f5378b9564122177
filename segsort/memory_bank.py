"""Memory bank: prototypes of recent batches that join the loss without gradient."""

import torch
from torch import Tensor


class MemoryBank:
    """Ring buffer of prototypes with class and domain.

    Writing overwrites the oldest rows; nothing is moved or cloned at a step, and rows not yet written are never read.

    Args:
        capacity: rows kept at most, >= 0 (0 keeps nothing).
        dimension: length of a prototype.
        device: where the rows live.
    """

    def __init__(self, capacity: int, dimension: int, device: torch.device | str = "cpu") -> None:
        if capacity < 0 or dimension < 1:
            raise ValueError(f"capacity={capacity}, dimension={dimension}: capacity must be >= 0 and dimension >= 1")
        self._rows = torch.zeros(capacity, dimension, device=device)
        self._class_ids = torch.zeros(capacity, dtype=torch.int64, device=device)
        self._domains = torch.zeros(capacity, dtype=torch.int64, device=device)
        self._next = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, prototypes: Tensor, class_ids: Tensor, domains: Tensor) -> None:
        """Put in [S, D] prototypes with [S] classes and domains; of more rows than fit, the last ones are kept."""
        capacity = len(self._rows)
        count = min(len(prototypes), capacity)
        if count == 0:
            return
        first = len(prototypes) - count
        target = (self._next + torch.arange(count, device=self._rows.device)) % capacity
        self._rows[target] = prototypes[first:].detach().to(self._rows)
        self._class_ids[target] = class_ids[first:]
        self._domains[target] = domains[first:]
        self._next = (self._next + count) % capacity
        self._size = min(self._size + count, capacity)

    def read(self) -> tuple[Tensor, Tensor, Tensor]:
        """Prototypes [M, D], classes [M] and domains [M] written so far, without gradient, in no stated order.

        They are views: read them again after `add`.
        """
        return self._rows[: self._size], self._class_ids[: self._size], self._domains[: self._size]
