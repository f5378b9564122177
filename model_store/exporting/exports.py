"""Writing of exports: into a folder, as an archive, or as one file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model_store.card import ClassInfo
from model_store.exporting.files import Files, FolderFiles, MemoryFiles, ZipFiles
from model_store.exporting.joining import joined
from model_store.exporting.names import Names
from model_store.exporting.results import ExportImage, areas_of, check_labels, class_of
from model_store.exporting.writer import ExportOptions, Writer

_WRITERS = {
    "coco": "coco:Coco",
    "png": "png:Png",
    "color-png": "color_png:ColorPng",
    "yolo": "yolo:Yolo",
    "geojson": "geojson:GeoJson",
    "label-studio": "label_studio:LabelStudio",
    "cvat": "cvat:Cvat",
    "labelme": "labelme:Labelme",
    "csv": "csv_table:CsvTable",
}
EXPORTS = tuple(_WRITERS)
COMBINED = ("coco", "label-studio", "cvat", "csv")  # formats that have one file of labels for all images
README = "README.segsort.txt"


@dataclass
class ExportSummary:
    """What was exported.

    images: number of images; segments: segments that have a known class; unknown: segments that have none; renamed:
    given name of each image that got another one, by the new name.
    """

    images: int = 0
    segments: int = 0
    unknown: int = 0
    renamed: dict[str, str] = field(default_factory=dict)


class Download(NamedTuple):
    """A file to send: its name, its media type, and its content."""

    name: str
    media_type: str
    content: bytes


def write(
    name: str,
    images: Iterable[ExportImage],
    classes: Iterable[ClassInfo],
    out: Path,
    options: ExportOptions | None = None,
) -> ExportSummary:
    """Write results into a folder.

    Args:
        name: one of EXPORTS.
        images: taken one at a time.
        classes: all that an image may have, also those that no image has.
        out: the folder; it is made if it does not exist. Files of the same name are replaced, others stay.
        options: None: the defaults.

    Raises:
        ValueError: if the name is not known, labels do not fit their segments, or a format cannot store the classes.
        OSError: if a file cannot be written.
    """
    _kind(name)
    summary = ExportSummary()
    with FolderFiles(out) as files:
        for _ in _steps(_writer(name, files, classes, options), images, summary):
            pass
    return summary


def archive(
    name: str, images: Iterable[ExportImage], classes: Iterable[ClassInfo], options: ExportOptions | None = None
) -> Iterator[bytes]:
    """Write results into a ZIP archive, which is sent while it is written.

    Args:
        name: one of EXPORTS.
        images: taken one at a time.
        classes: all that an image may have, also those that no image has.
        options: None: the defaults.

    Returns:
        The bytes of the archive, piece by piece. Equal results give equal bytes.

    Raises:
        ValueError: at once if the name is not known or the format cannot store the classes; while the pieces are taken
            if labels do not fit their segments. The archive is incomplete then.
    """
    files = ZipFiles()
    pieces = _pieces(_writer(name, files, classes, options), images, files)
    next(pieces)  # enters the block of `files`, so that closing the pieces removes them
    return pieces


def download(
    name: str, image: ExportImage, classes: Iterable[ClassInfo], options: ExportOptions | None = None
) -> Download:
    """Export one image as one file: that of its labels, or a ZIP archive if the format has several files.

    Args:
        name: one of EXPORTS.
        image: with its segments.
        classes: all that an image may have.
        options: None: the defaults.

    Raises:
        ValueError: if the name is not known, labels do not fit their segments, or a format cannot store the classes.
    """
    writer = _kind(name)
    given = Names().add(image.name)
    if writer.media_type is None:
        content = b"".join(archive(name, [image], classes, options))
        return Download(f"{given.stem}-{name}.zip", "application/zip", content)
    with MemoryFiles() as files:
        for _ in _steps(_writer(name, files, classes, options), [image._replace(content=None)], ExportSummary()):
            pass
        path = next(path for path in files.stored if path.endswith(writer.suffix))
        own = path == given.stem + writer.suffix
        return Download(path if own else f"{given.stem}-{name}{writer.suffix}", writer.media_type, files.stored[path])


def combined(
    name: str, images: Iterable[ExportImage], classes: Iterable[ClassInfo], options: ExportOptions | None = None
) -> Download:
    """Export the labels of several images as one file, which is held in memory.

    Args:
        name: one of COMBINED.
        images: taken one at a time, without their content.
        classes: all that an image may have.
        options: None: the defaults.

    Raises:
        ValueError: if the format has a file for each image, labels do not fit their segments, or a format cannot store
            the classes.
    """
    if name not in COMBINED:
        raise ValueError(f"{name} has a file for each image; allowed as one file: {', '.join(COMBINED)}")
    writer = _kind(name)
    with MemoryFiles() as files:
        for _ in _steps(_writer(name, files, classes, options), images, ExportSummary()):
            pass
        path = next(path for path in files.stored if path.endswith(writer.suffix))
    return Download(
        f"segsort-{name}{writer.suffix}", writer.media_type or "application/octet-stream", files.stored[path]
    )


def _pieces(writer: Writer, images: Iterable[ExportImage], files: ZipFiles) -> Iterator[bytes]:
    with files:
        yield b""
        for _ in _steps(writer, images, ExportSummary()):
            if piece := files.taken():
                yield piece
        yield files.taken()


def _writer(name: str, files: Files, classes: Iterable[ClassInfo], options: ExportOptions | None) -> Writer:
    return _kind(name)(files, tuple(classes), options or ExportOptions())


def _steps(writer: Writer, images: Iterable[ExportImage], summary: ExportSummary) -> Iterator[None]:
    """Write an export; pauses after each image, and between pieces of large files."""
    names, files = Names(), writer.files
    for image in images:
        check_labels(image)
        if writer.options.join:
            image = joined(image)
        given = names.add(image.name, image.content if writer.images is not None else None)
        _count(image, writer, summary)
        writer.add(image._replace(labels=np.ascontiguousarray(image.labels, dtype=np.int32)), given)
        if image.content is not None and writer.images is not None:
            files.put(f"{writer.images}{given}", image.content)
        yield
    writer.finish()
    summary.renamed = names.renamed
    files.put(README, _about(writer, summary).encode())
    yield from files.finish()


def _count(image: ExportImage, writer: Writer, summary: ExportSummary) -> None:
    """Add an image to the summary."""
    summary.images += 1
    for segment, area in zip(image.segments, areas_of(image).tolist(), strict=True):
        known = class_of(segment, writer.by_id) is not None
        summary.segments += known and area > 0
        summary.unknown += not known and area > 0


def _about(writer: Writer, summary: ExportSummary) -> str:
    """The text of README: what the files are, and what differs from the results."""
    digest = writer.options.digest
    lines = [
        f"Export of {summary.images} images by segsort (release {writer.options.release}), format {writer.name}.",
        *([] if digest is None else [f"The content of the release has the digest {digest}."]),
        "",
        writer.about,
        "",
        f"Segments with a known class: {summary.segments}.",
        f"Segments without a known class: {summary.unknown}; {writer.unlabelled}.",
    ]
    if summary.renamed:
        lines += ["", "Images that got another name, because names must be unique and valid on every system:"]
        lines += [f"{new}\t{old!r}" for new, old in summary.renamed.items()]
    return "\n".join(lines) + "\n"


def _kind(name: str) -> type[Writer]:
    """The writer of a format."""
    if name not in _WRITERS:
        raise ValueError(f"{name!r} is no format of exports; choose {', '.join(EXPORTS)}")
    module, _, writer = _WRITERS[name].partition(":")
    found: type[Writer] = getattr(import_module(f"model_store.exporting.{module}"), writer)
    return found
