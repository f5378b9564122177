"""Many images: bounded work, results of each, and errors that stay with their image."""

import asyncio
import io
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segsort_client import AsyncClient, Client, InputError, Result, SegsortError
from segsort_client.many import Progress
from segsort_client.png import png
from tests.client.scripted import scripted
from tests.conftest import Blocks

IMAGES = [Blocks("val")[number].image for number in range(4)]
Many = Callable[..., list[Result]]


@pytest.fixture(params=["sync", "async"])
def many(request: pytest.FixtureRequest) -> Many:
    """All results of a client of an address, of each kind."""
    if request.param == "sync":

        def blocking(address: str, images: Any, key: str | None = None, **options: Any) -> list[Result]:
            with Client(address, key, retries=2) as client:
                return list(client.segment_many(images, **options))

        return blocking

    def awaiting(address: str, images: Any, key: str | None = None, **options: Any) -> list[Result]:
        async def run() -> list[Result]:
            async with AsyncClient(address, key, retries=2) as client:
                return [result async for result in client.segment_many(images, **options)]

        return asyncio.run(run())

    return awaiting


def test_results_come_in_the_order_of_the_images(many: Many, address: str) -> None:
    results = many(address, IMAGES * 5, workers=3)
    assert [result.index for result in results] == list(range(20))
    for result in results:
        assert result.get().image_id == results[result.index % 4].get().image_id
        assert result.image is IMAGES[result.index % 4]


def test_results_as_they_are_completed_are_of_all_images(many: Many, address: str) -> None:
    results = many(address, IMAGES * 3, workers=4, ordered=False, masks="none", exemplars=1)
    assert sorted(result.index for result in results) == list(range(12))
    assert all(segment.shape is None for result in results for segment in result.get())


def test_an_error_of_one_image_ends_no_other(many: Many, address: str, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not an image")
    images = [IMAGES[0], tmp_path / "missing.png", tmp_path / "broken.png", np.zeros((3, 3)), None, IMAGES[1]]
    results = many(address, images)
    assert [result.error is None for result in results] == [True, False, False, False, False, True]
    assert [type(result.error).__name__ for result in results[1:3]] == ["InputError", "SegsortError"]
    with pytest.raises(SegsortError, match="not an image"):
        results[2].get()


def test_no_images_give_no_results(many: Many, address: str) -> None:
    assert many(address, []) == []


@pytest.mark.parametrize(
    ("images", "workers"),
    [
        ("folder", 1),
        (b"PNG", 1),
        (bytearray(b"PNG"), 1),
        (io.BytesIO(b"a\nb"), 1),
        (np.zeros((9, 9, 3), dtype=np.uint8), 1),
        (7, 1),
        ([], 0),
        ([], -1),
        ([], 1.5),
    ],
)
def test_what_is_not_several_images_is_refused_at_once(many: Many, images: Any, workers: Any) -> None:
    with pytest.raises(InputError):
        many("http://127.0.0.1:9", images, workers=workers)


def test_an_error_of_the_iterator_comes_after_the_images_before_it(address: str) -> None:
    def images() -> Iterator[np.ndarray]:
        yield from IMAGES
        raise OSError("the disk is gone")

    with Client(address) as client:
        results = client.segment_many(images(), workers=8)
        assert [next(results).get().width for _ in range(4)] == [96] * 4
        with pytest.raises(OSError, match="disk"):
            next(results)


def test_images_are_taken_while_results_are_taken(address: str) -> None:
    taken = []

    def images() -> Iterator[np.ndarray]:
        for number in range(1000):
            taken.append(number)
            yield IMAGES[number % 4]

    with Client(address) as client:
        results = client.segment_many(images(), workers=2)
        assert taken == []
        for number in range(1, 4):
            next(results)
            assert len(taken) <= number + 3  # two for each worker, of which one was taken
        results.close()  # type: ignore[attr-defined]
        before = len(taken)
        time.sleep(0.2)
        assert len(taken) == before
        assert not [one for one in threading.enumerate() if one.name.startswith("segsort-client")]


def test_images_of_an_asynchronous_iterable_are_taken_while_results_are_taken(address: str) -> None:
    taken = []

    async def images() -> AsyncIterator[np.ndarray]:
        for number in range(1000):
            taken.append(number)
            await asyncio.sleep(0)
            yield IMAGES[number % 4]

    async def run() -> None:
        async with AsyncClient(address) as client:
            results = client.segment_many(images(), workers=2)
            for number in range(1, 4):
                await anext(results)
                assert len(taken) <= number + 3
            await results.aclose()  # type: ignore[attr-defined]
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_no_more_requests_are_under_way_than_workers(many: Many) -> None:
    busy, most, lock, all_are_busy = 0, 0, threading.Lock(), threading.Event()

    answer = (422, {}, b'{"detail": "too small"}')
    with scripted([answer]) as script:
        original = script.answers

        class Slow(list):  # type: ignore[type-arg]
            def __getitem__(self, place: Any) -> Any:
                nonlocal busy, most
                with lock:
                    busy += 1
                    most = max(most, busy)
                    if busy == 3:
                        all_are_busy.set()
                all_are_busy.wait(60)
                time.sleep(0.05)  # time in which a fourth request could come
                with lock:
                    busy -= 1
                return super().__getitem__(place)

        script.answers = Slow(original)
        results = many(script.address, [png(np.zeros((2, 2), np.uint8))] * 20, workers=3)
    assert len(results) == 20
    assert most == 3


def test_a_key_that_is_not_accepted_ends_all(many: Many) -> None:
    with scripted([(401, {}, b'{"detail": "There is no such key."}')]) as script:
        with pytest.raises(SegsortError, match="no such key"):
            many(script.address, [b"x"] * 100, "wrong", workers=2)
        assert len(script.requests) <= 4


def test_workers_that_wait_for_a_busy_service_end_when_nobody_takes_results() -> None:
    with scripted([(200, {}, b"{}"), (429, {"Retry-After": "50"}, b"{}")]) as script, Client(script.address) as client:
        results = client.segment_many([b"x"] * 20, workers=4, ordered=False)  # any image may have the one answer
        next(results)
        began = time.monotonic()
        results.close()  # type: ignore[attr-defined]
        assert time.monotonic() - began < 10


def test_progress_is_told_of_each_image(many: Many, address: str) -> None:
    for images, total in ((IMAGES, 4), (iter(IMAGES), None)):
        told: list[tuple[int, int | None]] = []
        many(address, images, progress=lambda *now, told=told: told.append(now))
        assert told == [(number, total) for number in range(1, 5)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(results: Sequence[Result], total: int | None, stream: io.StringIO) -> str:
    progress = Progress(True, total, stream)
    for result in results:
        progress.add(result)
    progress.end()
    return stream.getvalue()


def test_the_line_of_progress_says_how_many_failed() -> None:
    good, bad = Result(0, b"", None), Result(1, b"", None, OSError())
    shown = lines([good, bad], 2, io.StringIO())
    assert shown.startswith("2 of 2 images, ")
    assert shown.endswith(" a second, 1 failed\n")
    many = lines([good] * 1000, None, Terminal())
    assert "failed" not in many
    assert 1 <= many.count("\r") < 20  # not one for each image
