"""Bodies of requests while they arrive and are answered: their bytes in memory are bounded, all together.

An upload that is slow, or for which there is no room, is written to a file on disk. It comes back to memory when it is
complete. So an upload that stops in the middle holds no memory.
"""

import asyncio
import io
import tempfile
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

import anyio
from starlette.types import Message, Receive

from service.http.body_limit import too_large, too_slow
from service.problems import CallerLeft, Problem

T = TypeVar("T")
SMALL = 64_000  # bytes that the body of every request may have in memory beside the budget
_QUICK_S = 1.0  # a body that takes longer goes to disk
_WRITTEN = 64_000  # bytes that are written to disk at once
_WRITERS = 4  # threads that read and write files


class Bodies:
    """Receives bodies. It runs on one event loop and needs no lock.

    Args:
        memory: bytes of bodies that are held in memory at once, beside `SMALL` of each. A single one may be larger.
        disk: bytes of bodies that are held on disk at once.
        folder: where files are made; they have no name, so nothing is left of them after a kill.
        timeout: seconds from the start of a body to its end.
        deadline: seconds that a complete body on disk waits for room in memory.
        files: largest number of files at once.

    Attributes:
        in_memory: bytes in memory.
        on_disk: bytes on disk.
        files: number of files.
        refused: number of refused requests by reason: memory_full, disk_full or too_many_files.
    """

    def __init__(
        self, memory: int, disk: int, folder: Path, timeout: float, deadline: float, files: int = 1000
    ) -> None:
        self._memory, self._disk, self._folder = memory, disk, folder
        self._timeout, self._deadline, self._most_files = timeout, deadline, files
        self.in_memory = self.on_disk = self.files = 0
        self.refused: Counter[str] = Counter()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._writers: anyio.CapacityLimiter | None = None

    @asynccontextmanager
    async def received(self, receive: Receive, most: int) -> AsyncIterator[bytes]:
        """Receive a body, and hold it while the block runs.

        Args:
            receive: ASGI receive of the request.
            most: largest size in bytes.

        Raises:
            Problem: 413 if it is too large; 408 if it took too long; 429 if other bodies leave no room.
            CallerLeft: if the connection ends before the body is complete.
            OSError: if the disk cannot be written.
        """
        one = _Arriving(self, most)
        try:
            yield await one.read(receive)
        finally:
            one.free()

    def take(self, size: int) -> bool:
        """Hold bytes in memory, if there is room and no complete body waits for it."""
        if self._waiting or not self._fits(size):
            return False
        self.in_memory += size
        return True

    def give(self, size: int) -> None:
        """Free bytes in memory, and let complete bodies that wait come in, in their order."""
        self.in_memory -= size
        while self._waiting and self._fits(self._waiting[0][0]):
            wanted, turn = self._waiting.popleft()
            if not turn.done():
                self.in_memory += wanted
                turn.set_result(None)

    async def room(self, size: int) -> None:
        """Wait for room in memory, and hold it.

        Raises:
            Problem: 429 if there is none before the deadline.
        """
        if self.take(size):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            async with asyncio.timeout(self._deadline):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.give(size)
            else:
                with suppress(ValueError):  # `give` has removed it
                    self._waiting.remove((size, turn))
            if isinstance(error, TimeoutError):
                raise self._refuse("memory_full", self._memory) from None
            raise

    def take_disk(self, size: int) -> None:
        """Hold bytes on disk.

        Raises:
            Problem: 429 if there is no room.
        """
        if self.on_disk + size > self._disk:
            raise self._refuse("disk_full", self._disk)
        self.on_disk += size

    def take_file(self) -> None:
        """Hold a file. Each is an open file of the process, which connections need too.

        Raises:
            Problem: 429 if there are too many.
        """
        if self.files >= self._most_files:
            raise self._refuse("too_many_files", self._disk)
        self.files += 1

    def open_file(self) -> IO[bytes]:
        """A new file without a name."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._folder)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run work on a file in one of a few threads."""
        if self._writers is None:
            self._writers = anyio.CapacityLimiter(_WRITERS)
        return await anyio.to_thread.run_sync(work, limiter=self._writers)

    @property
    def timeout(self) -> float:
        """Seconds from the start of a body to its end."""
        return self._timeout

    def _fits(self, size: int) -> bool:
        return self.in_memory == 0 or self.in_memory + size <= self._memory

    def _refuse(self, reason: str, most: int) -> Problem:
        self.refused[reason] += 1
        return Problem(
            429, "Too many large bodies are being received.", received=f"{self.in_memory + self.on_disk} bytes",
            allowed=f"{most} bytes at once", headers={"Retry-After": "2"},
            fix="Send it again in 2 s, and fewer at once, or let the operator raise SEGSORT_BODIES_MB.",
        )  # fmt: skip


class _Arriving:
    """One body: in memory, or in a file. It is freed once."""

    def __init__(self, bodies: Bodies, most: int) -> None:
        self._bodies, self._most = bodies, most
        self._parts = io.BytesIO()
        self._file: IO[bytes] | None = None
        self._has_file = False  # also while it is opened
        self._size = self._held = self._held_on_disk = 0

    async def read(self, receive: Receive) -> bytes:
        """The complete body, see `Bodies.received`."""
        started, more = asyncio.get_running_loop().time(), True
        while more:
            message = await self._next(receive, started)
            if message["type"] == "http.disconnect":
                raise CallerLeft
            part: bytes = message.get("body", b"")
            more = bool(message.get("more_body", False))
            self._size += len(part)
            if self._size > self._most:
                raise too_large(self._most)
            if not more and self._size == len(part):  # the common case: all of it at once
                self._hold(len(part))
                return part
            await self._add(part)
        return await self._complete()

    def free(self) -> None:
        """Give back what is held."""
        self._parts.close()
        self._close()
        self._bodies.give(self._held)
        self._held = 0

    def _close(self) -> None:
        """Give back the file, if there is one."""
        if self._file is not None:
            self._file.close()
        self._bodies.files -= self._has_file
        self._bodies.on_disk -= self._held_on_disk
        self._file, self._has_file, self._held_on_disk = None, False, 0

    async def _next(self, receive: Receive, started: float) -> Message:
        """The next message. If it takes long, what has arrived goes to disk meanwhile."""
        if self._file is None and self._size > SMALL:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(started + _QUICK_S):
                    return await receive()
            await self._to_disk()
        try:
            async with asyncio.timeout_at(started + self._bodies.timeout):
                return await receive()
        except TimeoutError:
            raise too_slow(self._size, self._bodies.timeout) from None

    async def _add(self, part: bytes) -> None:
        self._parts.write(part)
        if self._file is not None:
            if self._parts.tell() >= _WRITTEN:
                await self._write()
        elif not self._hold(len(part)):
            await self._to_disk()

    async def _to_disk(self) -> None:
        self._bodies.take_file()
        self._has_file = True
        self._file = await self._bodies.in_thread(self._bodies.open_file)
        await self._write()

    def _hold(self, size: int) -> bool:
        """Hold bytes in memory, unless they are among the first, small ones."""
        counted = min(size, self._size - SMALL)
        if counted <= 0:
            return True
        if not self._bodies.take(counted):
            return False
        self._held += counted
        return True

    async def _write(self) -> None:
        """Move to the file what is in memory."""
        file, content = self._file, self._parts.getvalue()
        if file is None:
            raise RuntimeError("a body was to be written before its file was opened")
        self._bodies.take_disk(len(content))
        self._held_on_disk += len(content)
        await self._bodies.in_thread(lambda: file.write(content))
        self._parts = io.BytesIO()
        self._bodies.give(self._held)
        self._held = 0

    async def _complete(self) -> bytes:
        file = self._file
        if file is None:
            return self._parts.getvalue()
        await self._write()
        await self._bodies.room(self._size)
        self._held = self._size

        def whole() -> bytes:
            file.seek(0)
            return file.read()

        content = await self._bodies.in_thread(whole)
        self._close()
        return content
