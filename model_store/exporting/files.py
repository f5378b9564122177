"""Where exported files go: a folder, memory, or a ZIP archive that is sent while it is written."""

import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

_IN_MEMORY = 4_000_000  # bytes of a document that are not written to a temporary file
_CHUNK = 1_000_000  # bytes that are copied at once
_DATE = (1980, 1, 1, 0, 0, 0)  # of all files in an archive, so that equal exports are equal archives


class Files(ABC):
    """Takes the files of an export. Use it in a `with` statement, which removes temporary files."""

    def __init__(self) -> None:
        self._documents: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for document in self._documents.values():
            document.close()

    def put(self, path: str, content: bytes) -> None:
        """Store a file.

        Args:
            path: inside the export, with "/".
            content: of the file.
        """
        for _ in self._store(_checked(path), iter([content]), len(content)):
            pass

    def document(self, path: str) -> IO[bytes]:
        """A file that grows with each image. `finish` stores it."""
        checked = _checked(path)
        document = cast(IO[bytes], tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
        self._documents[checked] = document
        return document

    def finish(self) -> Iterator[None]:
        """Store the documents, piece by piece."""
        for path, document in self._documents.items():
            size = document.seek(0, 2)
            document.seek(0)
            yield from self._store(path, _chunks(document), size)

    @abstractmethod
    def _store(self, path: str, chunks: Iterator[bytes], size: int) -> Iterator[None]:
        """Store a file of `size` bytes, chunk by chunk."""


class FolderFiles(Files):
    """Files in a folder, which is made. Files of the same name are replaced, others stay."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def _store(self, path: str, chunks: Iterator[bytes], size: int) -> Iterator[None]:
        file = self._folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as written:
            for chunk in chunks:
                written.write(chunk)
                yield


class MemoryFiles(Files):
    """Files in memory: content by path in `stored`."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, bytes] = {}

    def _store(self, path: str, chunks: Iterator[bytes], size: int) -> Iterator[None]:
        self.stored[path] = b"".join(chunks)
        yield


class ZipFiles(Files):
    """Files of a ZIP archive, whose bytes are taken while it grows."""

    def __init__(self) -> None:
        super().__init__()
        self._pipe = _Pipe()
        self._archive = zipfile.ZipFile(cast(IO[bytes], self._pipe), "w")

    def _store(self, path: str, chunks: Iterator[bytes], size: int) -> Iterator[None]:
        info = zipfile.ZipInfo(path, _DATE)
        info.compress_type, info.external_attr, info.file_size = zipfile.ZIP_DEFLATED, 0o644 << 16, size
        with self._archive.open(info, "w") as entry:
            for chunk in chunks:
                entry.write(chunk)
                yield

    def finish(self) -> Iterator[None]:
        yield from super().finish()
        self._archive.close()

    def taken(self) -> bytes:
        """The bytes that were written since the last call."""
        written = b"".join(self._pipe.written)
        self._pipe.written.clear()
        return written


class _Pipe:
    """A file that cannot be sought, for `zipfile`."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, content: bytes) -> int:
        self.written.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        return None


def _chunks(document: IO[bytes]) -> Iterator[bytes]:
    while chunk := document.read(_CHUNK):
        yield chunk


def _checked(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path or not path:
        raise ValueError(f"{path!r} is not a path inside the export")
    return path
