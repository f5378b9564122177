"""Spooled answers: a long answer is written to disk, so that who reads it slowly holds no turn and no thread.

The file has no name, so that nothing is left of it after a kill. It is sent while it is written. Where there is no room
on disk, the answer is made no faster than it is read.
"""

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_PART = 256_000  # bytes that are sent at once
_MEGABYTE = 1_000_000


class SpoolRoom:
    """The room of all spooled answers of an app. Calls from several threads are safe.

    Args:
        folder: where files are made.
        each: largest file, bytes.
        total: bytes of all files.

    Attributes:
        bytes: of all files now.
    """

    def __init__(self, folder: Path, each: int = 256 * _MEGABYTE, total: int = 1000 * _MEGABYTE) -> None:
        self.folder, self.each, self.total = folder, each, total
        self.bytes = 0
        self._lock = threading.Lock()

    def open(self) -> IO[bytes]:
        """A new file without a name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self.folder, buffering=0)

    def take(self, size: int, held: int) -> bool:
        """Take room for more bytes of a file that holds some; False: there is none. An empty file always has room."""
        with self._lock:
            if held and (held + size > self.each or self.bytes + size > self.total):
                return False
            self.bytes += size
            return True

    def give(self, size: int) -> None:
        """Give room back."""
        with self._lock:
            self.bytes -= size


class Spooled(Response):
    """An answer that is made piece by piece in a thread, and sent from a file while it is made.

    Args:
        pieces: of the body. They are made in one thread, which also closes them if they are a generator.
        room: on disk.
        options: of the response.

    Attributes:
        when_made: is called once, when the answer is made, or will not be.
    """

    def __init__(self, pieces: Iterator[bytes], room: SpoolRoom, **options: Any) -> None:
        super().__init__(None, **options)
        del self.headers["content-length"]  # it is not known yet
        self._pieces, self._room = pieces, room
        self._sent = self._written = 0  # bytes of the body
        self._start = 0  # of the file in the body
        self._stopped = False
        self._changed = threading.Condition()
        self._news = asyncio.Event()
        self.when_made: Callable[[], None] = lambda: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, until it is complete or the caller leaves."""
        loop = asyncio.get_running_loop()
        try:
            file = await run_in_threadpool(self._room.open)
        except BaseException:
            self.when_made()
            raise
        making = loop.create_task(self._made(loop, file))
        gone = loop.create_task(_until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while not gone.done() and not (making.done() and self._sent == self._written):
                if self._sent == self._written:
                    await self._wait(making, gone)
                else:
                    await self._send_part(file, send)
            if not gone.done():
                making.result()
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            with self._changed:
                self._stopped = True
                self._changed.notify()
            making.add_done_callback(lambda task: self._end(task, file))

    async def _wait(self, making: "asyncio.Task[None]", gone: "asyncio.Task[None]") -> None:
        """Wait until there is more to send, or nothing more comes."""
        self._news.clear()
        if self._sent < self._written:
            return
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait({making, gone, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()

    async def _send_part(self, file: IO[bytes], send: Send) -> None:
        size = min(_PART, self._written - self._sent)
        part = await run_in_threadpool(os.pread, file.fileno(), size, self._sent - self._start)
        await send({"type": "http.response.body", "body": part, "more_body": True})
        with self._changed:
            self._sent += len(part)
            self._changed.notify()

    async def _made(self, loop: asyncio.AbstractEventLoop, file: IO[bytes]) -> None:
        try:
            await anyio.to_thread.run_sync(self._make, loop, file)
        finally:
            self.when_made()

    def _make(self, loop: asyncio.AbstractEventLoop, file: IO[bytes]) -> None:
        try:
            for piece in self._pieces:
                if not self._has_room(file, len(piece)):
                    return
                try:
                    left = memoryview(piece)
                    while left:
                        left = left[file.write(left) :]
                except BaseException:
                    self._room.give(len(piece))
                    raise
                self._written += len(piece)
                loop.call_soon_threadsafe(self._news.set)
        finally:
            close = getattr(self._pieces, "close", None)
            if close is not None:
                close()

    def _has_room(self, file: IO[bytes], size: int) -> bool:
        """Wait for room in the file; False: the answer is not wanted any more. What is sent is removed at times."""
        with self._changed:
            while not self._stopped:
                if self._sent == self._written > self._start:
                    file.seek(0)
                    file.truncate()
                    self._room.give(self._written - self._start)
                    self._start = self._written
                if self._room.take(size, self._written - self._start):
                    return True
                self._changed.wait(1.0)  # another answer may give room back
            return False

    def _end(self, task: "asyncio.Task[None]", file: IO[bytes]) -> None:
        if not task.cancelled():
            task.exception()  # it is raised where the answer is still sent
        file.close()
        self._room.give(self._written - self._start)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
