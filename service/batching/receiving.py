"""Images of a job while they arrive: written to disk piece by piece, so that a body of any size takes little memory."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from service.batching.job_folder import JobFolder
from service.batching.sources import Entry, file_of, no_images, too_large_file, too_many, usual_name
from service.http.body_limit import too_large
from service.http.forms import LONGEST_HEAD, boundary_of, file_name, malformed
from service.problems import CallerLeft, Problem
from service.settings import Settings

_BUFFER = 1 << 20  # bytes that are written at once
Arrived = Callable[[int], None]


async def receive_images(
    request: Request, folder: JobFolder, settings: Settings, arrived: Arrived
) -> list[Entry] | None:
    """Write the body of a request to the folder of a job.

    Args:
        request: its body is a ZIP archive, or a form with files.
        folder: of the new job.
        settings: limit it.
        arrived: called with the number of bytes that are about to be written; it raises if there is no room.

    Returns:
        The files of a form, in their order; None: it was a ZIP archive.

    Raises:
        Problem: 400 if the form is malformed; 408 if the body took too long; 413 if it or the number of files is too
            large; 422 if there is none; 503 if the disk refuses it.
        CallerLeft: if the connection ends before the body is complete.
    """
    content_type = request.headers.get("content-type", "")
    pieces = _pieces(request, settings.job_bytes)
    try:
        if content_type.lower().startswith("multipart/form-data"):
            return await _receive_form(pieces, boundary_of(content_type), folder, settings, arrived)
        with folder.upload.open("wb") as file:
            async for piece in pieces:
                arrived(len(piece))
                await run_in_threadpool(file.write, piece)
        return None
    except ClientDisconnect as error:
        raise CallerLeft from error
    except OSError as error:
        raise Problem(
            503, "The images could not be written to disk.", received=str(error.strerror)[:200],
            fix="Ask the operator to check SEGSORT_DATA_DIR and the disk.",
        ) from error  # fmt: skip


async def _receive_form(
    pieces: AsyncIterator[bytes], boundary: bytes, folder: JobFolder, settings: Settings, arrived: Arrived
) -> list[Entry]:
    folder.parts.mkdir()
    files = _Files(folder.parts, settings)
    parser = MultipartParser(boundary, files.callbacks())  # type: ignore[arg-type]  # a typed dict of all callbacks
    try:
        async for piece in pieces:
            arrived(len(piece))
            try:
                await run_in_threadpool(parser.write, piece)
            except FormParserError as error:
                raise malformed(str(error)[:200]) from error
        if not files.ended:
            raise malformed("no closing boundary")
    finally:
        files.close()
    if not files.entries:
        raise no_images()
    return files.entries


class _Files:
    """Writes the parts of a form, one file each, as the parser finds them.

    Args:
        folder: of the files.
        settings: limit them.

    Attributes:
        entries: of the files so far.
        ended: whether the closing boundary has arrived.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder, self._settings = folder, settings
        self.entries: list[Entry] = []
        self.ended = False
        self._head = bytearray()
        self._file: IO[bytes] | None = None
        self._size = 0

    def callbacks(self) -> dict[str, Callable[..., Any]]:
        """The functions that the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_head,
            "on_header_value": self._add_value,
            "on_header_end": lambda: self._add(b"\r\n"),
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_part_end": self.close,
            "on_end": self._end,
        }

    def close(self) -> None:
        """Close the present file. One that was too large is refused, and its content is not kept."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._size > self._settings.max_bytes:
            refused = too_large_file(self._size, self._settings.max_bytes)
            self.entries[-1] = self.entries[-1]._replace(refused=refused)
            file_of(self._folder, len(self.entries) - 1).write_bytes(b"")

    def _begin(self) -> None:
        if len(self.entries) >= self._settings.job_images:
            raise too_many(len(self.entries) + 1, self._settings.job_images)
        self._head.clear()
        self._is_value = False

    def _add_head(self, data: bytes, start: int, end: int) -> None:
        self._is_value = False
        self._add(data[start:end])

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        if not self._is_value:
            self._add(b": ")
            self._is_value = True
        self._add(data[start:end])

    def _add(self, part: bytes) -> None:
        self._head += part
        if len(self._head) > LONGEST_HEAD:
            raise malformed("a part with a long head")

    def _open(self) -> None:
        self.entries.append(Entry(usual_name(file_name(bytes(self._head)))))
        self._size = 0
        self._file = file_of(self._folder, len(self.entries) - 1).open("wb")

    def _write(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._file is not None and self._size <= self._settings.max_bytes:
            self._file.write(data[start:end])

    def _end(self) -> None:
        self.ended = True


async def _pieces(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body of a request in pieces of about `_BUFFER` bytes."""
    size, waiting = 0, bytearray()
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise too_large(most, "SEGSORT_JOB_BYTES")
        waiting += part
        if len(waiting) >= _BUFFER:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
