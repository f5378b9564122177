"""The result of a job of images: an export, written as one file."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from model_store.card import ClassInfo
from model_store.exporting import COMBINED, ExportOptions, archive, write
from service.batching.answer_files import stored_images
from service.batching.job_folder import JobFolder
from service.batching.options import JobOptions
from service.problems import Problem

_SINGLE = {"coco": ".json", "label-studio": ".json", "cvat": ".xml", "csv": ".csv"}  # of the file of all labels
_MEDIA_TYPES = {".zip": "application/zip", ".json": "application/json", ".xml": "application/xml", ".csv": "text/csv"}


def check_options(options: JobOptions, classes: Sequence[ClassInfo]) -> None:
    """Refuse options that no export can have, before anything is computed.

    Raises:
        Problem: 422.
    """
    if options.single and options.format not in COMBINED:
        raise Problem(
            422, "The format has a file for each image.", received=options.format, allowed=list(COMBINED),
            fix="Leave single out.",
        )  # fmt: skip
    if options.single and options.images:
        raise Problem(
            422, "One file holds no image files.", received="single and images", allowed="one of the two",
            fix="Leave single or images out.",
        )  # fmt: skip
    try:
        for _ in archive(options.format, (), classes, _export_options(options, "", None)):
            pass
    except ValueError as error:  # for example, a palette holds 256 classes at most
        raise Problem(
            422, "The format cannot hold this export.", received=options.format, allowed=str(error)
        ) from error


def write_result(
    folder: JobFolder,
    options: JobOptions,
    images: Sequence[tuple[int, str]],
    classes: Sequence[ClassInfo],
    release: str,
    digest: str | None,
    content: Callable[[int], bytes],
) -> Path:
    """Write the export of a job. A kill at any moment leaves the whole file, or none.

    Args:
        folder: of the job.
        options: of the job.
        images: position and name of each image with an answer.
        classes: all that an image may have.
        release: name of the release.
        digest: identifies its content; None: not known.
        content: reads the image file at a position.

    Raises:
        OSError: if the disk refuses it.
    """
    keys = [key_of(position) for position, _ in images]
    names = [options.name_of(name) for _, name in images]

    def file_of(place: int) -> bytes | None:
        return content(images[place][0]) if options.images else None

    results = stored_images(folder.answers, keys, names, file_of)
    out = folder.results
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.path, prefix="export-") as work:
        made, wanted = Path(work) / "result", Path(work) / "files"
        made.mkdir()
        if options.single:
            write(options.format, results, classes, wanted, _export_options(options, release, digest))
            suffix = _SINGLE[options.format]
            next(wanted.rglob(f"*{suffix}")).replace(made / f"segsort-{options.format}{suffix}")
        else:
            with (made / f"segsort-{options.format}.zip").open("wb") as opened:
                for piece in archive(options.format, results, classes, _export_options(options, release, digest)):
                    opened.write(piece)
        made.replace(out)
    return next(out.iterdir())


def result_json(file: Path, options: JobOptions, images: int, failed: int) -> dict[str, Any]:
    """The JSON of the result of a job."""
    return {
        "format": options.format,
        "file": file.name,
        "media_type": media_type_of(file),
        "bytes": file.stat().st_size,
        "images": images,
        "failed": failed,
        "kept_answers": options.keep,
    }


def media_type_of(file: Path) -> str:
    """The media type of a result."""
    return _MEDIA_TYPES.get(file.suffix, "application/octet-stream")


def key_of(position: int) -> str:
    """The key of the answer of an image in `JobFolder.answers`."""
    return f"{position:06d}"


def _export_options(options: JobOptions, release: str, digest: str | None) -> ExportOptions:
    return ExportOptions(polygons=options.polygons, release=release, join=options.join, digest=digest)
