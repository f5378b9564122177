"""Where the images of a batch are: in a ZIP archive, a folder or in memory. Each is read when it is due."""

import lzma
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, cast

from service.editing.importing import BOUNDED, BoundedFile
from service.problems import Problem, printable

LONGEST_NAME = 1000  # characters
_LISTED = 8_000_000  # bytes of the list of an archive's files, which is read at once
_CHUNK = 1 << 18  # bytes that are read at once
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError)
_FIX = "Send a ZIP archive of image files, or the files as parts of multipart/form-data."
_LEFT_OUT = ("__MACOSX",)  # folders that systems add to archives
_SYSTEM_FILES = (".ds_store", "thumbs.db", "desktop.ini")  # that they add to folders


class Entry(NamedTuple):
    """An image of a batch. name: of its file, with its folders; refused: why it is not read; None: it is read."""

    name: str
    refused: Problem | None = None


class Source(Protocol):
    """The images of a batch. Calls from several threads are safe."""

    @property
    def entries(self) -> Sequence[Entry]:
        """The images, in their order."""
        ...

    def read(self, position: int) -> bytes:
        """The file of one image.

        Raises:
            Problem: 413 if it is too large, 422 if it is damaged, what `Entry.refused` says otherwise.
        """
        ...

    def close(self) -> None:
        """Close all files."""
        ...


class FilesInMemory:
    """Files of a form that is in memory.

    Args:
        files: name and content of each.
    """

    def __init__(self, files: Sequence[tuple[str, bytes]]) -> None:
        self.entries = [Entry(usual_name(name)) for name, _ in files]
        self._contents = [content for _, content in files]

    def read(self, position: int) -> bytes:
        """The file of one image."""
        return self._contents[position]

    def close(self) -> None:
        """Forget the files."""
        self._contents = []


class FilesInFolder:
    """Files of a form that were written to a folder, each under its position.

    Args:
        folder: of the files.
        entries: of the images.
    """

    def __init__(self, folder: Path, entries: Sequence[Entry]) -> None:
        self._folder, self.entries = folder, entries

    def read(self, position: int) -> bytes:
        """The file of one image."""
        refused = self.entries[position].refused
        if refused is not None:
            raise refused
        return file_of(self._folder, position).read_bytes()

    def close(self) -> None:
        """Nothing is open."""


class ZipOfImages:
    """Images in a ZIP archive, which is never unpacked: each entry is read by itself, within its limit.

    Folders, and what systems add to archives, are left out. Entries that are no usual files are refused one by one.

    Args:
        file: the archive, which is closed with this object.
        max_bytes: largest image file.
        max_images: largest number of entries.
        max_unpacked: largest size of all entries together, bytes.

    Raises:
        Problem: 400 if the archive is empty, 413 if it has too many or too large entries, 415 if it is no ZIP archive,
            422 if it is damaged.
    """

    def __init__(self, file: BinaryIO, max_bytes: int, max_images: int, max_unpacked: int) -> None:
        self._file, self._max_bytes = file, max_bytes
        try:
            self._archive = _opened(file)
            self._infos = [info for info in self._archive.infolist() if _is_meant(info)]
            self._check(max_images, max_unpacked)
        except BaseException:
            file.close()
            raise
        self.entries = self._checked()

    def read(self, position: int) -> bytes:
        """The file of one image."""
        entry, info = self.entries[position], self._infos[position]
        if entry.refused is not None:
            raise entry.refused
        try:
            with self._archive.open(info) as file:
                parts = list(iter(lambda: file.read(_CHUNK), b""))
        except (*_DAMAGED, NotImplementedError, RuntimeError) as error:  # unusual compression, or a password
            raise Problem(
                422, "The entry of the archive is damaged.", received=str(error)[:200],
                allowed="entries with Deflate, without a password", fix="Make the archive again.",
            ) from error  # fmt: skip
        return b"".join(parts)

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()
        self._file.close()

    def _check(self, max_images: int, max_unpacked: int) -> None:
        size = sum(info.file_size for info in self._infos)
        if len(self._infos) > max_images:
            raise too_many(len(self._infos), max_images)
        if size > max_unpacked:
            raise Problem(
                413, "The images of the archive are too large together.", received=f"{size} bytes unpacked",
                allowed=f"at most {max_unpacked} bytes", fix="Send several smaller archives.",
            )  # fmt: skip

    def _checked(self) -> list[Entry]:
        seen: set[str] = set()
        found = []
        for info in self._infos:
            found.append(Entry(usual_name(info.filename), self._refusal(info, seen)))
            seen.add(info.filename)
        return found

    def _refusal(self, info: zipfile.ZipInfo, seen: set[str]) -> Problem | None:
        name, received = info.orig_filename, printable(info.orig_filename[:200])
        if len(name) > LONGEST_NAME:
            return Problem(422, "The name is too long.", received=received, allowed=f"{LONGEST_NAME} characters")
        if name.startswith(("/", "\\")) or name[1:2] == ":" or ".." in name.replace("\\", "/").split("/"):
            return Problem(
                422, "The path leads out of the archive.", received=received, allowed="paths inside of the archive",
                fix="Make the archive of a folder.",
            )  # fmt: skip
        if stat.S_ISLNK(info.external_attr >> 16):
            return Problem(
                422, "The entry is a link.", received=received, allowed="files",
                fix="Make the archive so that it has files in place of links.",
            )  # fmt: skip
        if info.compress_type not in BOUNDED or info.flag_bits & 1:
            return Problem(
                422, "The entry is compressed in an unusual way, or has a password.", received=received,
                allowed="entries with Deflate, without a password", fix="Make the archive again.",
            )  # fmt: skip
        if info.filename in seen:
            return Problem(
                422, "The archive has an earlier entry of this name.", received=received, allowed="different names",
                fix="Make the archive again.",
            )  # fmt: skip
        return too_large_file(info.file_size, self._max_bytes) if info.file_size > self._max_bytes else None


def file_of(folder: Path, position: int) -> Path:
    """Where the file of an image is in a folder."""
    return folder / f"{position:06d}"


def is_zip(content: bytes) -> bool:
    """Whether a file that begins so is a ZIP archive."""
    return content[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def usual_name(name: str) -> str:
    """A name that a database can store and JSON can hold."""
    return printable(name.replace("\x00", "")[-LONGEST_NAME:])


def too_large_file(size: int, max_bytes: int) -> Problem:
    """413: an image file is too large."""
    return Problem(
        413, "The image file is too large.", received=f"{size} bytes", allowed=f"at most {max_bytes} bytes",
        fix="Compress it or scale it down, or ask the operator to raise SEGSORT_MAX_BYTES.",
    )  # fmt: skip


def too_many(count: int, most: int) -> Problem:
    """413: a batch has too many images."""
    return Problem(
        413, "There are too many images.", received=f"{count} images", allowed=f"at most {most} images",
        fix="Send them in several parts.",
    )  # fmt: skip


def no_images() -> Problem:
    """422: a batch has no image."""
    return Problem(422, "There are no images.", received="0 images", allowed="1 image or more", fix=_FIX)


def _opened(file: BinaryIO) -> zipfile.ZipFile:
    start = file.read(4)
    try:
        return zipfile.ZipFile(cast(BinaryIO, BoundedFile(file, _LISTED)))
    except _DAMAGED as error:
        raise Problem(
            422 if is_zip(start) else 415, "This is not a complete ZIP archive.",
            received=f"bytes that begin with {start.hex(' ')}: {error}" if start else "0 bytes",
            allowed="a ZIP archive", fix=_FIX,
        ) from error  # fmt: skip


def _is_meant(info: zipfile.ZipInfo) -> bool:
    """Whether an entry is a file that a person put into the archive."""
    parts = info.filename.split("/")
    name = parts[-1].lower()
    return not info.is_dir() and parts[0] not in _LEFT_OUT and not name.startswith("._") and name not in _SYSTEM_FILES
