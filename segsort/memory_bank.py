"""Memory bank: prototypes of recent batches that take part in the loss, without gradient."""

from typing import NamedTuple

import torch
from torch import Tensor


class Remembered(NamedTuple):
    """prototypes: [M, D]; class_ids, domains: [M] int64; valid: [M] bool, whether a row holds a prototype."""

    prototypes: Tensor
    class_ids: Tensor
    domains: Tensor
    valid: Tensor


class MemoryBank:
    """Ring buffer of prototypes with class and domain.

    Writing overwrites the oldest rows, and moves no others. All rows are read each time, and rows not yet written are
    marked as not valid. Shapes are fixed, so the host never synchronises with the GPU.

    Args:
        capacity: rows kept at most, >= 0 (0 keeps nothing).
        dimension: length of a prototype.
        device: where the rows live.
    """

    def __init__(self, capacity: int, dimension: int, device: torch.device | str = "cpu") -> None:
        if capacity < 0 or dimension < 1:
            raise ValueError(f"capacity={capacity}, dimension={dimension}: capacity must be >= 0 and dimension >= 1")
        self._rows = Remembered(
            torch.zeros(capacity, dimension, device=device),
            torch.full((capacity,), -1, dtype=torch.int64, device=device),
            torch.zeros(capacity, dtype=torch.int64, device=device),
            torch.zeros(capacity, dtype=torch.bool, device=device),
        )
        self._next = 0

    @property
    def capacity(self) -> int:
        """Number of rows, written or not."""
        return len(self._rows.valid)

    def add(self, prototypes: Tensor, class_ids: Tensor, domains: Tensor, valid: Tensor | None = None) -> None:
        """Write prototypes over the oldest rows; if more are given than fit, the last are kept.

        Args:
            prototypes: [S, D].
            class_ids: [S] int64.
            domains: [S] int64.
            valid: [S] bool, whether each holds a prototype; None: all do.
        """
        capacity = self.capacity
        count = min(len(prototypes), capacity)
        if count == 0:
            return
        valid = torch.ones_like(class_ids, dtype=torch.bool) if valid is None else valid
        target = (self._next + torch.arange(count, device=self._rows.valid.device)) % capacity
        for kept, given in zip(self._rows, (prototypes, class_ids, domains, valid), strict=True):
            kept[target] = given[len(given) - count :].detach().to(kept)
        self._next = (self._next + count) % capacity

    def read(self) -> Remembered:
        """All rows, without gradient, in no particular order. They are views: read them again after `add`."""
        return self._rows
