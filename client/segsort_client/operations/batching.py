"""Operations on many images in one request, and on jobs of images."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Literal

from segsort_client.asking import Request
from segsort_client.errors import InputError
from segsort_client.flow import Flow, Work, operation
from segsort_client.images import ImageInput, image_file
from segsort_client.operations.base import Asking
from segsort_client.operations.exporting import Export, Format, export_of
from segsort_client.operations.segmenting import Masks
from segsort_client.parsing import parse
from segsort_client.results.batches import BatchAnswer, BatchImage, JobImageList
from segsort_client.results.jobs import Job
from segsort_client.strokes import id_of

SUFFIXES = tuple(
    ".avif .bmp .gif .heic .heif .j2k .jp2 .jpe .jpeg .jpg .pbm .pgm .png .pnm .ppm .tif .tiff .webp".split()  # noqa: SIM905
)


class Batching(Asking):
    """Send several images in one request, or a folder as a job."""

    @operation
    def segment_batch(
        self, images: Iterable[ImageInput], *, segments: int | None = None, k: int | None = None, exemplars: int = 5,
        masks: Masks = "rle",
    ) -> Flow[BatchAnswer]:  # fmt: skip
        """Segment a few images in one request: up to 32, or what the service allows.

        Each image has an answer of its own, or a problem. For more images, `segment_many` needs less memory, and
        `segment_archive` goes on without this program.

        Args:
            images: images as `segment` takes them.
            segments, k, exemplars, masks: see `segment`.
        """
        form: dict[str, tuple[str | None, bytes]] = {}
        for number, image in enumerate(images):
            file = yield from image_file(image, self._timeout)
            form[f"image{number}"] = (file.name or f"image{number}", file.content)
        if not form:
            raise InputError("There is no image to segment.", received="no images", allowed="one or more images")
        params = {"segments": segments, "k": k, "exemplars": exemplars, "masks": masks}
        asked = Request("POST", ("segment", "batch"), params, form=form, repeatable=True)
        found = parse(BatchAnswer, (yield from self._service.json(asked)))
        return replace(found, images=tuple([_named(one) for one in found.images]))

    @operation
    def segment_archive(
        self, archive: bytes | str | os.PathLike[str], *, format: Format = "coco", join: bool = False,
        polygons: bool | None = None, single: bool = False, images: bool = False, keep: bool = True,
        names: Literal["file", "path"] = "file", segments: int | None = None, k: int | None = None,
        release: str | None = None, reason: str | None = None,
    ) -> Flow[Job]:  # fmt: skip
        """Segment the images of a ZIP archive or a folder as a job, whose result is an export: `wait`, `job_result`.

        The archive is read while it is sent. The job goes on when this program ends, or the service restarts.

        Args:
            archive: path of a ZIP archive, or its bytes; or a folder, whose images are put into an archive.
            format, join, polygons, single, images: of the export, see `export`.
            keep: record the answers, so that they are listed and can be explained.
            names: of the images in the export: those of the files, or those with their folders.
            segments, k: see `segment`.
            release: name of the release to use; None: the one that is served.
            reason: why, for the list of jobs.

        A try whose answer is lost is not repeated: see `jobs` whether it was begun.
        """
        params = {
            "format": format, "join": join, "polygons": polygons, "single": single, "images": images, "keep": keep,
            "names": names, "segments": segments, "k": k, "release": release, "reason": reason,
        }  # fmt: skip
        packing: _Packing | None = None
        try:
            if not isinstance(archive, bytes) and Path(archive).is_dir():
                packing = _Packing(Path(archive))
                archive = yield Work(packing.pack)
            return (yield from self._post_archive(Job, ("jobs", "segment"), archive, **params))
        finally:
            if packing is not None:
                packing.remove()  # also if this ends while a thread is packing

    @operation
    def job_images(
        self, job: Job | str, *, limit: int = 100, after: int = -1,
        state: Literal["waiting", "running", "done", "failed"] | None = None,
    ) -> Flow[JobImageList]:  # fmt: skip
        """The images of a job, and what became of each.

        Args:
            job: a job or its id.
            limit: length of the page.
            after: the last `position` of the page before.
            state: only images in this state.
        """
        return self._read(JobImageList, "jobs", id_of(job, "job_id"), "images", limit=limit, after=after, state=state)

    @operation
    def job_result(self, job: Job | str, *, out: str | os.PathLike[str] | None = None) -> Flow[Export]:
        """The export that a job of images made. out: file to write it to, if it is too large for memory."""
        parts = ("jobs", id_of(job, "job_id"), "result")
        asked = Request("GET", parts, repeatable=True, accept="*/*", out=None if out is None else Path(out))
        return export_of(asked, (yield from self._service.ask(asked)))

    @operation
    def delete_job(self, job: Job | str) -> Flow[None]:
        """Delete a job of images that has ended, with its result. The answers that it recorded stay."""
        return self._nothing("DELETE", "jobs", id_of(job, "job_id"))


def _named(image: BatchImage) -> BatchImage:
    return image if image.answer is None else replace(image, answer=replace(image.answer, name=image.name))


class _Packing:
    """Puts the images in a folder and its folders into a temporary ZIP archive, not compressed again.

    Another thread may remove the archive at any moment, also while it is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: Path | None = None
        self._unwanted = Event()

    def pack(self) -> Path:
        """Make the archive, or stop at the next image once it is removed."""
        folder = self._folder
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if not paths:
            raise InputError(
                "The folder has no images.", received=str(folder), allowed=f"files {', '.join(sorted(SUFFIXES))}"
            )
        number, name = tempfile.mkstemp(suffix=".zip", prefix="segsort-")
        self._made = Path(name)
        try:
            with os.fdopen(number, "wb") as file, zipfile.ZipFile(file, "w", strict_timestamps=False) as archive:
                for path in paths:
                    if self._unwanted.is_set():
                        break
                    archive.write(path, path.relative_to(folder).as_posix())
        except BaseException as error:
            self.remove()
            if not isinstance(error, (OSError, ValueError)):
                raise
            raise InputError(  # ValueError: a name that is not Unicode
                "The images of the folder cannot be put into an archive.", received=f"{folder}: {error!a}",
                allowed="readable files with names in Unicode, and room for a temporary archive",
            ) from error  # fmt: skip
        if self._unwanted.is_set():
            self.remove()  # again: it may have been made, or open, when it was removed
        return self._made

    def remove(self) -> None:
        """Remove the archive, if it was made. One that is being made is removed by the thread that makes it."""
        self._unwanted.set()
        if self._made is not None:
            with suppress(OSError):  # Windows removes no open file
                self._made.unlink(missing_ok=True)
