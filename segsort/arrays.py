"""Arrays of the method: numpy's on a CPU, PyTorch's on another device or where gradients are needed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    from segsort import lazy_torch as torch

Array = TypeVar("Array", np.ndarray, "Tensor")  # all arrays of a call are of one kind
AnyArray: TypeAlias = "np.ndarray | Tensor"


def as_float32(array: Array) -> Array:
    """An array as float32, without gradient. It is copied only if it has another type."""
    if isinstance(array, np.ndarray):
        return array.astype(np.float32, copy=False)
    return array.detach().float()


def on_host(array: AnyArray) -> np.ndarray:
    """An array as numpy's. It is copied only if it lies on another device."""
    if isinstance(array, np.ndarray):
        return array
    found: np.ndarray = array.detach().cpu().numpy()
    return found


def device_of(array: AnyArray) -> str:
    """Kind of the device that holds an array: "cpu", "cuda", ..."""
    return "cpu" if isinstance(array, np.ndarray) else array.device.type


def without_autocast(array: AnyArray) -> AbstractContextManager[object]:
    """A context in which PyTorch does not compute in half precision on the array's device."""
    return nullcontext() if isinstance(array, np.ndarray) else torch.autocast(array.device.type, enabled=False)


def vectors_of_cells(embeddings: AnyArray, cells: np.ndarray) -> np.ndarray:
    """The vectors of some cells: embeddings [D, h, w], cells [n] int64, y * w + x -> [n, D] float64, on the host."""
    if isinstance(embeddings, np.ndarray):
        return np.asarray(embeddings.reshape(len(embeddings), -1)[:, cells].T, dtype=np.float64)
    found = embeddings.flatten(1)[:, torch.from_numpy(cells).to(embeddings.device)].T
    return on_host(found.double())
