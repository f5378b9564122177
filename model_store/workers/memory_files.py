"""Files in memory that two processes share: the content of a file that is sent, and the arrays that come back."""

import fcntl
import math
import mmap
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

_ALIGNMENT = 64  # bytes
_SEALS = getattr(fcntl, "F_SEAL_SHRINK", 0) | getattr(fcntl, "F_SEAL_GROW", 0) | getattr(fcntl, "F_SEAL_SEAL", 0)
_KINDS = ("bool", "uint8", "uint16", "int32", "int64", "float32", "float64")  # of arrays


def written(parts: Sequence[Any]) -> int:
    """A file in memory that has the given buffers, each at a multiple of 64 bytes; its size cannot change any more.

    Returns:
        The descriptor, which the caller closes.
    """
    file = _new()
    try:
        at = 0
        for part in parts:
            view = memoryview(part).cast("B") if len(part) else memoryview(b"")
            for start in range(0, len(view), 1 << 30):  # one call writes at most 2 GB
                os.pwrite(file, view[start : start + (1 << 30)], at + start)
            at += _padded(len(view))
        os.ftruncate(file, max(at, 1))
        if _SEALS and hasattr(os, "memfd_create"):
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(file)
        raise
    return file


def content_of(file: int, size: int) -> bytes:
    """The first bytes of a file in memory."""
    parts, at = [], 0
    while at < size:
        part = os.pread(file, size - at, at)
        if not part:
            raise ValueError(f"a file of {at} bytes; {size} are needed")
        parts.append(part)
        at += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def arrays_of(file: int, described: Sequence[tuple[str, Sequence[int]]]) -> list[np.ndarray]:
    """The arrays in a file in memory, without a copy.

    Args:
        file: its descriptor. Its size must be fixed: the process that wrote it could end this one by truncating it.
        described: kind and shape of each array.

    Raises:
        ValueError: if the file is not large enough, not fixed, or an array is of another kind.
    """
    sizes = []
    for kind, shape in described:
        if kind not in _KINDS or any(not isinstance(side, int) or side < 0 for side in shape):
            raise ValueError(f"an array of {kind} and {shape}")
        sizes.append(math.prod(shape) * np.dtype(kind).itemsize)
    needed = sum(map(_padded, sizes))
    fixed = not hasattr(os, "memfd_create") or fcntl.fcntl(file, fcntl.F_GET_SEALS) & _SEALS == _SEALS
    if not fixed or os.fstat(file).st_size < needed:
        raise ValueError(f"a file of {os.fstat(file).st_size} bytes for {needed}, or one that may shrink")
    mapped = mmap.mmap(file, max(needed, 1), access=mmap.ACCESS_COPY)
    found, at = [], 0
    for (kind, shape), size in zip(described, sizes, strict=True):
        values = np.frombuffer(mapped, dtype=kind, count=math.prod(shape), offset=at).reshape(tuple(shape))
        found.append(values)
        at += _padded(size)
    return found


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _new() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("segsort", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile() as file:  # systems without such files
        return os.dup(file.fileno())
