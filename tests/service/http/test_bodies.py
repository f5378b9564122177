"""Bodies while they arrive: how much of them is in memory and on disk, and what becomes of slow ones."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.http import bodies as module
from service.http.bodies import SMALL, Bodies
from service.problems import CallerLeft, Problem

MB = 1_000_000
MOST = 20 * MB


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Bodies]:
    def made(
        memory: int = 2 * MB, disk: int = 100 * MB, timeout: float = 20.0, deadline: float = 20.0, files: int = 20
    ) -> Bodies:
        return Bodies(memory, disk, tmp_path / "uploads", timeout, deadline, files)

    return made


class Upload:
    """A body whose parts a test sends one after another."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive(self) -> Any:
        return await self._messages.get()

    def send(self, size: int, last: bool = False, part: int = 50_000) -> None:
        for start in range(0, size, part):
            end = min(start + part, size)
            message = {"type": "http.request", "body": bytes(end - start), "more_body": not (last and end == size)}
            self._messages.put_nowait(message)

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})


async def length(bodies: Bodies, upload: Upload, hold: float = 0.0) -> int:
    async with bodies.received(upload.receive, MOST) as content:
        await asyncio.sleep(hold)
        return len(content)


def nothing_is_held(bodies: Bodies) -> bool:
    return (bodies.in_memory, bodies.on_disk, bodies.files) == (0, 0, 0)


def test_a_body_arrives_unchanged_and_is_freed(make: Callable[..., Bodies]) -> None:
    async def main() -> None:
        bodies, upload, content = make(), Upload(), bytes(range(256)) * 4000
        for start in range(0, len(content), 60_000):
            part, more = content[start : start + 60_000], start + 60_000 < len(content)
            upload._messages.put_nowait({"type": "http.request", "body": part, "more_body": more})
        async with bodies.received(upload.receive, MOST) as found:
            assert found == content
            assert bodies.in_memory == len(content) - SMALL
        assert nothing_is_held(bodies)

    asyncio.run(main())


def test_a_body_that_stops_in_the_middle_moves_to_disk(
    make: Callable[..., Bodies], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_QUICK_S", 0.05)

    async def main() -> None:
        bodies, uploads = make(memory=100 * MB), [Upload() for _ in range(10)]
        reading = [asyncio.create_task(length(bodies, one)) for one in uploads]
        for one in uploads:
            one.send(MB)
        await asyncio.sleep(0.01)
        while bodies.in_memory:
            await asyncio.sleep(0.01)
        assert bodies.on_disk == 10 * MB
        for one in uploads:
            one.send(MB, last=True)
        assert await asyncio.gather(*reading) == [2 * MB] * 10
        assert nothing_is_held(bodies)

    asyncio.run(main())


def test_bodies_beyond_the_memory_wait_on_disk_until_others_are_answered(make: Callable[..., Bodies]) -> None:
    async def main() -> None:
        bodies, uploads, most = make(memory=2 * MB), [Upload() for _ in range(12)], 0
        for one in uploads:
            one.send(MB, last=True)
        reading = {asyncio.create_task(length(bodies, one, hold=0.02)) for one in uploads}
        while reading:
            done, reading = await asyncio.wait(reading, timeout=0.001)
            most = max(most, bodies.in_memory)
            assert all(one.result() == MB for one in done)
        assert MB < most <= 2 * MB
        assert nothing_is_held(bodies)

    asyncio.run(main())


def test_small_bodies_need_no_room(make: Callable[..., Bodies]) -> None:
    async def main() -> None:
        bodies, large, small = make(memory=MB), Upload(), Upload()
        large.send(MB, last=True)
        small.send(SMALL, last=True)
        async with bodies.received(large.receive, MOST):
            assert await asyncio.wait_for(length(bodies, small), 5) == SMALL

    asyncio.run(main())


def test_a_body_that_finds_no_room_in_time_is_refused_with_429(make: Callable[..., Bodies]) -> None:
    async def main() -> None:
        bodies, first, second = make(memory=MB, deadline=0.05), Upload(), Upload()
        first.send(MB, last=True)
        second.send(MB, last=True)
        async with bodies.received(first.receive, MOST):
            with pytest.raises(Problem, match="SEGSORT_BODIES_MB") as raised:
                await length(bodies, second)
        assert (raised.value.status, raised.value.headers) == (429, {"Retry-After": "2"})
        assert bodies.refused == {"memory_full": 1}
        assert nothing_is_held(bodies)

    asyncio.run(main())


def test_a_full_disk_budget_refuses_with_429(make: Callable[..., Bodies]) -> None:
    async def main() -> None:
        bodies, first, second = make(memory=MB, disk=MB // 2), Upload(), Upload()
        first.send(MB, last=True)
        second.send(MB, last=True)
        async with bodies.received(first.receive, MOST):
            with pytest.raises(Problem) as raised:
                await length(bodies, second)
        assert raised.value.status == 429
        assert bodies.refused == {"disk_full": 1}
        assert nothing_is_held(bodies)

    asyncio.run(main())


def test_slow_bodies_leave_open_files_to_connections(
    make: Callable[..., Bodies], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_QUICK_S", 0.05)

    async def main() -> None:
        bodies, slow, quick = make(files=3), [Upload() for _ in range(5)], Upload()
        reading = [asyncio.create_task(length(bodies, one)) for one in slow]
        for one in slow:
            one.send(100_000)
        while sum(one.done() for one in reading) < 2:
            await asyncio.sleep(0.01)
        refused = [one.exception() for one in reading if one.done()]
        assert [one.status for one in refused if isinstance(one, Problem)] == [429, 429]
        assert (bodies.files, bodies.refused) == (3, {"too_many_files": 2})
        quick.send(MB, last=True)
        assert await length(bodies, quick) == MB
        for one in slow:
            one.leave()
        await asyncio.gather(*reading, return_exceptions=True)
        assert nothing_is_held(bodies)

    asyncio.run(main())


def test_a_body_larger_than_the_memory_is_received_alone(make: Callable[..., Bodies]) -> None:
    async def main() -> None:
        bodies, upload = make(memory=MB), Upload()
        upload.send(5 * MB, last=True)
        assert await length(bodies, upload) == 5 * MB
        assert nothing_is_held(bodies)

    asyncio.run(main())


def test_an_upload_in_time_alone_is_received(make: Callable[..., Bodies]) -> None:
    async def main() -> None:
        bodies, slow, gone = make(timeout=0.1), Upload(), Upload()
        slow.send(MB)
        with pytest.raises(Problem) as raised:
            await length(bodies, slow)
        assert (raised.value.status, raised.value.received) == (408, f"{MB} bytes in 0.1 s")
        gone.send(MB)
        gone.leave()
        with pytest.raises(CallerLeft):
            await length(bodies, gone)
        assert nothing_is_held(bodies)

    asyncio.run(main())


def test_a_body_past_the_limit_is_refused(make: Callable[..., Bodies]) -> None:
    async def main() -> None:
        bodies, upload = make(), Upload()
        upload.send(MOST + 1, last=True)
        with pytest.raises(Problem) as raised:
            await length(bodies, upload)
        assert raised.value.status == 413
        assert nothing_is_held(bodies)

    asyncio.run(main())


def test_files_have_no_name(make: Callable[..., Bodies], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUICK_S", 0.01)

    async def main() -> None:
        bodies, upload = make(), Upload()
        upload.send(MB)
        reading = asyncio.create_task(length(bodies, upload))
        while not bodies.on_disk:
            await asyncio.sleep(0.01)
        assert list((tmp_path / "uploads").iterdir()) == []
        upload.leave()
        with pytest.raises(CallerLeft):
            await reading

    asyncio.run(main())
