"""Labelled images in an archive: unpacked, and read in whatever format they have."""

import errno
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from model_store.labelled import FORMATS, LabelledFiles, detect, open_format
from model_store.labelled import IGNORE as UNLABELLED
from service.editing.annotations import IGNORE, LabelMap
from service.editing.class_names import ClassRef
from service.problems import Problem

MAX_FILES = 5000
MAX_RATIO = 20  # unpacked size to the largest allowed body
_FIX = "Send a ZIP archive of the folder that the labelling tool exported, with its images."


class ImportedFile(NamedTuple):
    """A labelled image of an archive: its name, its file, and its labels [H, W] uint8, a class id or IGNORE."""

    name: str
    content: bytes
    labels: np.ndarray


@contextmanager
def opened_archive(content: bytes, max_bytes: int, format_: str, split: str) -> Iterator[LabelledFiles]:
    """Unpack an archive into a temporary folder, and open the labelled images in it.

    Args:
        content: a ZIP archive.
        max_bytes: largest body; the unpacked files may have MAX_RATIO times as many bytes.
        format_: one of `model_store.labelled.FORMATS`, or "auto".
        split: part of the data.

    Raises:
        Problem: 400 if it is empty, 413 if its files are too many or too large, 415 if it is no ZIP archive, 422 if it
            is damaged, or its labelled images are in no known format or malformed.
    """
    if format_ not in ("auto", *FORMATS):
        raise Problem(422, "The format is not known.", received=format_[:100], allowed=["auto", *FORMATS], fix=_FIX)
    with TemporaryDirectory(prefix="segsort-import-") as folder:
        _unpack(content, Path(folder), max_bytes * MAX_RATIO)
        root = _root(Path(folder))
        with as_problems(Path(folder)):
            data = open_format(root, detect(root) if format_ == "auto" else format_, split)
        yield data


@contextmanager
def as_problems(folder: Path) -> Iterator[None]:
    """Turn errors of the data into problems, without the path of the temporary folder."""
    try:
        yield
    except (ValueError, OSError) as error:
        text = str(error).replace(f"{folder}/", "").replace(str(folder), "the archive")
        raise Problem(
            422, "The labelled images cannot be read.", received=text[:500], allowed=list(FORMATS), fix=_FIX
        ) from error


def label_map(data: LabelledFiles, i: int, size: tuple[int, int]) -> LabelMap:
    """The classes of the pixels of an image of size (H, W), as `POST /exemplars` takes them.

    Raises:
        Problem: 422 if its labels cannot be read, do not fit the image, or label no pixel.
    """
    with as_problems(data.survey.folder):
        labels = data.labels(i, size)
    present = [class_id for class_id in np.unique(labels).tolist() if class_id != UNLABELLED]
    if not present:
        raise Problem(
            422, "No pixel of the image is labelled.", received=data.image_file(i).name, allowed="labels of a class"
        )
    values, refs = np.full(size, IGNORE, dtype=np.int32), list[ClassRef]()
    for class_id in present:
        info = data.classes[class_id]
        values[labels == class_id] = len(refs)
        refs.append(ClassRef(info.name, None, "#{:02x}{:02x}{:02x}".format(*info.color)))
    return LabelMap(values, refs)


def _unpack(content: bytes, folder: Path, most: int) -> None:
    if not content:
        raise Problem(400, "The request contains no archive.", received="0 bytes", allowed="a ZIP archive", fix=_FIX)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            size = sum(entry.file_size for entry in entries)
            if len(entries) > MAX_FILES or size > most:
                raise Problem(
                    413, "The archive has too many files, or too large ones.",
                    received=f"{len(entries)} files, {size} bytes unpacked",
                    allowed=f"at most {MAX_FILES} files and {most} bytes",
                    fix="Send several smaller archives, or build a release with `segsort build`.",
                )  # fmt: skip
            for entry in entries:
                archive.extract(entry, folder)  # keeps files inside the folder whatever their names are
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise Problem(
            415 if content[:2] != b"PK" else 422, "The archive is not a complete ZIP archive.",
            received=f"{len(content)} bytes that begin with {content[:4].hex(' ')}: {error}", allowed="a ZIP archive",
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


def _root(folder: Path) -> Path:
    """The folder of the data: most archives hold a single folder that holds everything."""
    while True:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX"))]
        if len(entries) != 1 or not entries[0].is_dir() or entries[0].name in ("images", "train", "annotations"):
            return folder
        folder = entries[0]
