"""Labelled images in an archive: unpacked, and read in whatever format they have."""

import errno
import io
import lzma
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, cast

import numpy as np

from model_store.labelled import FORMATS
from model_store.labelled import IGNORE as UNLABELLED
from model_store.unfinished import unfinished
from model_store.workers import Ended, WorkLimits
from model_store.workers.labelled import LabelledReader, reading_labelled
from model_store.workers.stopping import present_stop
from service.editing.annotations import IGNORE, LabelMap
from service.editing.class_names import ClassRef
from service.problems import CallerLeft, Problem, printable

MAX_FILES = 5000
MAX_RATIO = 20  # unpacked size to the largest allowed body
IMPORTS = "importing"  # folder of unpacked archives in the data folder; each is hidden, locked and removed at the end
UNPACK_S = 60.0  # seconds that unpacking may take
BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # `zipfile` inflates a piece of others at once, to any size
_MOST_AT_ONCE = 1 << 24  # bytes that `zipfile` may read at once: only the list of the files can be as long
_LONGEST_SPLIT = 100  # characters
_FIX = "Send a ZIP archive of the folder that the labelling tool exported, with its images."


class ImportedFile(NamedTuple):
    """A labelled image of an archive: its name, its file, and its labels [H, W] uint8, a class id or IGNORE."""

    name: str
    content: bytes
    labels: np.ndarray


@contextmanager
def opened_archive(
    content: bytes, data_dir: Path, max_bytes: int, format_: str, split: str, limits: WorkLimits
) -> Iterator[LabelledReader]:
    """Unpack an archive into a temporary folder, and open the labelled images in it.

    The folder of a process that was killed is removed by the next import, and by the next start.

    Args:
        content: a ZIP archive.
        data_dir: of the service; the folder is made below it.
        max_bytes: largest body; the unpacked files may have MAX_RATIO times as many bytes.
        format_: one of `model_store.labelled.FORMATS`, or "auto".
        split: part of the data.
        limits: of each step of reading, as for the largest image.

    Raises:
        Problem: 400 if it is empty, 413 if its files are too many or too large, 415 if it is no ZIP archive, 422 if it
            is damaged, or its labelled images are in no known format, malformed, or take too much to read.
    """
    check_format(format_, split)
    with _work_folder(data_dir) as folder:
        unpack(io.BytesIO(content), folder, max_bytes * MAX_RATIO)
        with opened_labelled(folder, format_, split, limits) as data:
            yield data


@contextmanager
def _work_folder(data_dir: Path) -> Iterator[Path]:
    with ExitStack() as held:
        try:
            folder = held.enter_context(unfinished(data_dir / IMPORTS / "archive"))
        except OSError as error:
            raise Problem(
                503, "The folder of the import cannot be made.", received=str(error.strerror)[:200],
                fix="Ask the operator to check SEGSORT_DATA_DIR and the disk.",
            ) from error  # fmt: skip
        yield folder


@contextmanager
def opened_labelled(folder: Path, format_: str, split: str, limits: WorkLimits) -> Iterator[LabelledReader]:
    """Open the labelled images in an unpacked archive, in a worker that ends with the block.

    Raises:
        Problem: 422 if they are in no known format, malformed, or take too much to read.
    """
    with ExitStack() as worker:
        with as_problems(folder):
            data = worker.enter_context(reading_labelled(limits, root_of(folder), format_, split))
        yield data


def check_format(format_: str, split: str) -> None:
    """Check the format and the part of labelled images that a request names.

    Raises:
        Problem: 422 if the format is not known, or the part is no name of a folder or a list.
    """
    if format_ not in ("auto", *FORMATS):
        raise Problem(
            422, "The format is not known.", received=printable(format_[:100]), allowed=["auto", *FORMATS],
            fix="Leave it out, so that the format is detected.",
        )  # fmt: skip
    if len(split) > _LONGEST_SPLIT or not split.isprintable() or split.startswith((".", "-")) or {"/", "\\"} & {*split}:
        raise Problem(
            422, "The part of the data has no usual name.", received=printable(split[:100]),
            allowed=f"at most {_LONGEST_SPLIT} characters without / and \\, the first neither a dot nor a dash",
            fix="Use the name of a folder or of a list in the data, such as train or val.",
        )  # fmt: skip


@contextmanager
def as_problems(folder: Path) -> Iterator[None]:
    """Turn errors of the data into problems, without the path of the temporary folder."""
    try:
        yield
    except Ended as ended:
        if ended.cause == "stopped":
            raise CallerLeft from None
        if ended.cause == "killed":
            raise Problem(
                503, "The process that read the labelled images was killed.", received=ended.detail,
                headers={"Retry-After": "2"}, fix="Send them again. The operator should check the machine's memory.",
            ) from ended  # fmt: skip
        raise Problem(
            504 if ended.cause == "deadline" else 422, "Reading the labelled images took too much, and was ended.",
            received=f"{ended.cause}: {ended.detail}", allowed="labels that are read within SEGSORT_DECODE_S and _MB",
            fix="Send several smaller archives, or build a release with `segsort build`.",
        ) from None  # fmt: skip
    except (ValueError, OSError) as error:
        text = str(error).replace(f"{folder}/", "").replace(str(folder), "the archive")
        raise Problem(
            422, "The labelled images cannot be read.", received=text[:500], allowed=list(FORMATS), fix=_FIX
        ) from error


def label_map(data: LabelledReader, i: int, size: tuple[int, int]) -> LabelMap:
    """The classes of the pixels of an image of size (H, W), as `POST /exemplars` takes them.

    Raises:
        Problem: 422 if its labels cannot be read, do not fit the image, or label no pixel.
    """
    with as_problems(data.folder):
        labels = data.labels(i, size)
    present = [class_id for class_id in np.unique(labels).tolist() if class_id != UNLABELLED]
    if not present:
        raise Problem(
            422, "No pixel of the image is labelled.", received=data.images[i].name, allowed="labels of a class"
        )
    values, refs = np.full(size, IGNORE, dtype=np.int32), list[ClassRef]()
    for class_id in present:
        info = data.classes[class_id]
        values[labels == class_id] = len(refs)
        refs.append(ClassRef(info.name, None, "#{:02x}{:02x}{:02x}".format(*info.color)))
    return LabelMap(values, refs)


def unpack(file: BinaryIO, folder: Path, most_bytes: int, most_files: int = MAX_FILES) -> None:
    """Unpack a ZIP archive into a folder.

    Args:
        file: the archive.
        folder: where its files are written.
        most_bytes: largest size of all its files together.
        most_files: largest number of files.

    Raises:
        Problem: 400 if it is empty, 413 if its files are too many or too large, 415 if it is no ZIP archive, 422 if it
            is damaged or takes more than `UNPACK_S` to unpack, 503 if the disk is full; `CallerLeft` if nobody waits
            for it any more.
    """
    start, length = file.read(4), file.seek(0, io.SEEK_END)
    if not length:
        raise Problem(400, "The request contains no archive.", received="0 bytes", allowed="a ZIP archive", fix=_FIX)
    size = 0
    try:
        with _Watched(cast(BinaryIO, BoundedFile(file, _MOST_AT_ONCE))) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            size = sum(entry.file_size for entry in entries)
            if len(entries) > most_files or size > most_bytes:
                raise Problem(
                    413, "The archive has too many files, or too large ones.",
                    received=f"{len(entries)} files, {size} bytes unpacked",
                    allowed=f"at most {most_files} files and {most_bytes} bytes",
                    fix="Send several smaller archives, or build a release with `segsort build`.",
                )  # fmt: skip
            if any(entry.compress_type not in BOUNDED for entry in entries):
                raise NotImplementedError("an entry that is neither stored nor deflated")
            folder.mkdir(parents=True, exist_ok=True)  # also where nothing is written into it
            for entry in entries:
                archive.extract(entry, folder)  # keeps files inside the folder whatever their names are
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise Problem(
            415 if start[:2] != b"PK" else 422, "The archive is not a complete ZIP archive.",
            received=f"{length} bytes that begin with {start.hex(' ')}: {error}", allowed="a ZIP archive",
            fix=_FIX,
        ) from error  # fmt: skip
    except (NotImplementedError, RuntimeError) as error:  # unusual compression, or a password
        raise Problem(
            422,
            "The archive cannot be unpacked.",
            received=str(error)[:200],
            allowed="ZIP with Deflate, without a password",
            fix=_FIX,
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Problem(
                503, "The disk of the service is full.", received=f"{size} bytes to unpack",
                allowed="an archive that fits on the disk", fix="Send smaller archives, or ask the operator for space.",
            ) from error  # fmt: skip
        raise Problem(
            422, "The archive has names of files that cannot be written.", received=str(error.strerror)[:200],
            allowed="names of at most 255 bytes, of which none is a file and a folder", fix=_FIX,
        ) from error  # fmt: skip


class _Watched(zipfile.ZipFile):
    """An archive whose files cannot be read for longer than `UNPACK_S` in all, nor after the caller has left."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._end, self._stop = time.monotonic() + UNPACK_S, present_stop()

    def open(self, *args: Any, **options: Any) -> IO[bytes]:
        """Open a file of the archive."""
        return cast(IO[bytes], _WatchedFile(super().open(*args, **options), self.check))

    def check(self) -> None:
        """Raise a Problem if unpacking is to end."""
        if self._stop.is_set:
            raise CallerLeft
        if time.monotonic() > self._end:
            raise Problem(
                422, "Unpacking the archive took too long, and was ended.", received=f"more than {UNPACK_S:g} s",
                allowed="an archive that is unpacked in that time",
                fix="Send several smaller archives, compressed by Deflate, or build a release with `segsort build`.",
            )  # fmt: skip


class _WatchedFile:
    """A file of an archive that asks before each read whether that may be."""

    def __init__(self, file: IO[bytes], check: Callable[[], None]) -> None:
        self._file, self._check = file, check

    def read(self, size: int = -1) -> bytes:
        """Read some bytes."""
        self._check()
        return self._file.read(size)

    def __enter__(self) -> "_WatchedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class BoundedFile:
    """A file of which no part above a number of bytes is read at once.

    `zipfile` reads the list of an archive's files at once, and makes an object of each entry. Without a bound, an
    archive of many small entries takes more memory than it has bytes.
    """

    def __init__(self, file: BinaryIO, most: int = _MOST_AT_ONCE) -> None:
        self._file, self._most = file, most
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        if size > self._most:
            raise Problem(
                413, "The archive has too many files.", received=f"{size} bytes that list its files",
                allowed=f"at most {self._most} bytes", fix="Send several smaller archives.",
            )  # fmt: skip
        return self._file.read(size)


def root_of(folder: Path) -> Path:
    """The folder of the data: most archives hold a single folder that holds everything."""
    while True:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
        if len(entries) != 1 or not entries[0].is_dir() or entries[0].name in ("images", "train", "annotations"):
            return folder
        folder = entries[0]
