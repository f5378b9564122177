"""Columns of a table in an .npz file that are mapped into memory, so that only the rows that are used are read."""

import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, overload

import numpy as np

_ALIGNED = 64  # bytes; columns begin at multiples of it
_PADDING = 0xD935  # id of the extra field of a ZIP entry that aligns its content, as in Android's zipalign
_LOCAL = struct.Struct("<4s5H3L2H")  # header of a ZIP entry
_FREE = 1 << 20  # rows that are looked at at once


def save_aligned(file: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write an .npz file without compression, whose columns can be mapped. `numpy.load` reads it, too."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, column in columns.items():
            entry = zipfile.ZipInfo(f"{name}.npy")
            assert archive.fp is not None
            begin = archive.fp.tell() + _LOCAL.size + len(entry.filename) + 20 + 4  # 20: sizes in 64 bits
            entry.extra = struct.pack("<HH", _PADDING, -begin % _ALIGNED) + bytes(-begin % _ALIGNED)
            with archive.open(entry, "w", force_zip64=True) as opened:
                np.lib.format.write_array(opened, np.ascontiguousarray(column), allow_pickle=False)


def map_columns(file: Path) -> dict[str, np.ndarray] | None:
    """Map the columns of an .npz file: changes to the arrays do not reach the file.

    Returns:
        Columns by name; None if a column is compressed or not aligned, so that the file has to be read.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: if the file is damaged.
    """
    columns = {}
    with zipfile.ZipFile(file) as archive, file.open("rb") as opened:
        for entry in archive.infolist():
            start = _content_of(opened, entry)
            if entry.compress_type != zipfile.ZIP_STORED or start % _ALIGNED:
                return None
            columns[entry.filename.removesuffix(".npy")] = _mapped(opened, file, start, entry.file_size)
    return columns


def _content_of(opened: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Position of the first byte of an entry's content."""
    opened.seek(entry.header_offset)
    *_, name, extra = _LOCAL.unpack(opened.read(_LOCAL.size))
    return entry.header_offset + _LOCAL.size + int(name) + int(extra)


def _mapped(opened: BinaryIO, file: Path, start: int, size: int) -> np.ndarray:
    opened.seek(start)
    version = np.lib.format.read_magic(opened)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(opened)
    begin = opened.tell()
    if fortran or dtype.hasobject or begin + dtype.itemsize * int(np.prod(shape)) != start + size:
        raise ValueError(f"an array of shape {shape} and type {dtype} does not fill its {size} bytes")
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.asarray(np.memmap(file, dtype, "c", begin, shape))


def all_finite(values: np.ndarray) -> bool:
    """Whether all values of an array [N, ...] are finite, looking at a part of the rows at a time."""
    return all(bool(np.isfinite(values[n : n + _FREE]).all()) for n in range(0, len(values), _FREE))


class Names(Sequence[str]):
    """Texts of one length in a column [N] of bytes."""

    def __init__(self, column: np.ndarray) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [name.decode("ascii") for name in self.column[row].tolist()]
        return bytes(self.column[row]).decode("ascii")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _FREE):
            yield from self[start : start + _FREE]


class Texts(Sequence[str]):
    """Texts of different lengths in one column of bytes: text n ends before position ends[n]."""

    def __init__(self, characters: np.ndarray, ends: np.ndarray) -> None:
        self.characters, self.ends = characters, ends

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[n] for n in range(*row.indices(len(self)))]
        place = range(len(self))[row]
        start = int(self.ends[place - 1]) if place else 0
        return self.characters[start : int(self.ends[place])].tobytes().decode("ascii")


class RowsByName(Mapping[str, int]):
    """The row of each name, found by bisection.

    Args:
        names: [N] bytes, all different.
        order: [N] int, rows by rising name.
    """

    def __init__(self, names: np.ndarray, order: np.ndarray) -> None:
        self._names, self._order = names, order

    def __getitem__(self, name: str) -> int:
        wanted = np.array(name.encode("ascii", "replace"))
        if wanted.itemsize > self._names.itemsize:  # numpy would copy all names to compare them with a longer one
            raise KeyError(name)
        place = int(np.searchsorted(self._names, wanted, sorter=self._order)) if len(self) else 0
        if place < len(self) and self._names[self._order[place]] == wanted:
            return int(self._order[place])
        raise KeyError(name)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(Names(self._names))
