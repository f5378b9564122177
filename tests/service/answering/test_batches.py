"""Requests that wait while the device is busy form batches."""

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from model_store.embedder import Embedder
from model_store.predictor import Sized
from segsort.loops import choosing
from service.answering.batches import Batches
from service.settings import Settings
from tests.conftest import Blocks
from tests.service.conftest import encoded
from tests.service.serving import wait_until


class Worker:
    """Waits until it is released, then doubles the numbers of a batch; records all batches."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.batches: list[list[int]] = []
        self.bad: dict[int, BaseException] = {}

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        assert self.free.wait(60)
        self.batches.append(list(numbers))
        for number in numbers:
            if number in self.bad:
                raise self.bad[number]
        return [2 * number for number in numbers]


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def ask(worker: Worker) -> Iterator[Callable[..., Future[int]]]:
    """Submits a number, and waits until it is in the queue behind all earlier ones."""
    batches = Batches[int, int](4)
    with ThreadPoolExecutor(16) as pool:

        def one(number: int, key: str = "a") -> Future[int]:
            waiting, begun = len(batches._queue), batches._thread is not None
            future = pool.submit(batches.ask, key, worker, number)
            wait_until(lambda: len(batches._queue) == waiting + 1 if begun else batches._thread and not batches._queue)
            return future

        yield one
        worker.free.set()
    batches.close()
    with pytest.raises(RuntimeError, match="ended"):
        batches.ask("a", worker, 1)


def test_who_waits_while_the_device_is_busy_goes_at_once(worker: Worker, ask: Callable[..., Future[int]]) -> None:
    asked = [ask(number) for number in range(8)]
    worker.free.set()
    assert [future.result(60) for future in asked] == [2 * number for number in range(8)]
    assert worker.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]


def test_who_waited_longest_chooses_the_key(worker: Worker, ask: Callable[..., Future[int]]) -> None:
    asked = [ask(0), ask(1, "b"), ask(2), ask(3, "b"), ask(4, "c"), ask(5)]
    worker.free.set()
    assert [future.result(60) for future in asked] == [0, 2, 4, 6, 8, 10]
    assert worker.batches == [[0], [1, 3], [2, 5], [4]]


def test_what_fails_alone_fails_alone(worker: Worker, ask: Callable[..., Future[int]]) -> None:
    worker.bad = {3: ValueError("three")}
    asked = [ask(number) for number in range(5)]
    worker.free.set()
    with pytest.raises(ValueError, match="three"):
        asked[3].result(60)
    assert [asked[n].result(60) for n in (0, 1, 2, 4)] == [0, 2, 4, 8]
    assert worker.batches == [[0], [1, 2, 3, 4], [1, 2], [3, 4], [3], [4]]


@pytest.mark.parametrize("fault", [SystemExit("killed"), KeyboardInterrupt(), MemoryError()])
def test_the_thread_outlives_whatever_happens_in_it(worker: Worker, fault: BaseException) -> None:
    batches, worker.bad = Batches[int, int](4), {0: fault}
    worker.free.set()
    with pytest.raises((RuntimeError, MemoryError)):
        batches.ask("a", worker, 0)
    assert batches.ask("a", worker, 7) == 14
    batches.close()


def test_nothing_is_kept_of_a_batch_that_is_done() -> None:
    class Thing:
        pass

    batches, thing = Batches[Thing, int](4), Thing()
    gone = weakref.ref(thing)
    assert batches.ask("a", lambda things: [1 for _ in things], thing) == 1
    del thing
    wait_until(lambda: gone() is None)
    batches.close()


def test_who_waits_for_a_batch_that_never_ends_is_told_when_the_service_ends(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.answering.batches.PATIENCE", 0.05)
    batches = Batches[int, int](4)
    with ThreadPoolExecutor(2) as pool:
        begun = pool.submit(batches.ask, "a", worker, 1)
        wait_until(lambda: batches._thread is not None and not batches._queue)
        waiting = pool.submit(batches.ask, "a", worker, 2)
        wait_until(lambda: batches._queue)
        batches.close()
        with pytest.raises(RuntimeError, match="ended"):
            waiting.result(60)
        worker.free.set()
        assert begun.result(60) == 2


def test_a_wrong_number_of_results_leaves_nobody_waiting() -> None:
    batches = Batches[int, int](4)
    with pytest.raises(ValueError, match="zip"):
        batches.ask("a", lambda numbers: [], 1)
    batches.close()


def photos() -> list[bytes]:
    """Photos of two buckets, and of two sizes within one bucket."""
    images = [Blocks("val")[n % 2].image for n in range(8)]
    return [encoded(image[:72] if n % 3 else image[:60]) for n, image in enumerate(images)] + [
        encoded(np.repeat(np.repeat(images[0], 2, 0), 2, 1))
    ]


@pytest.mark.parametrize("compiled", [True, False])
def test_batches_answer_as_images_alone_do(
    start: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch, compiled: bool
) -> None:
    """Without compiled loops, the torch code of a device runs, here on CPU tensors."""
    if not compiled:
        embed_all = Embedder.embed_all
        monkeypatch.setattr(choosing, "takes", lambda tensor: False)
        monkeypatch.setattr(Embedder, "embed_all", lambda self, images: torch.from_numpy(embed_all(self, images)))
    with start() as client:
        alone = [client.post("/segment", content=photo).json() for photo in photos()]
    with start(batch=4) as client, ThreadPoolExecutor(16) as pool:
        sizes: list[float] = []
        client.app.state.engine.segmenter.on_batch = sizes.append  # type: ignore[attr-defined]
        wait = threading.Event()
        outline = client.app.state.engine.served.predictor.outline  # type: ignore[attr-defined]

        def later(*arguments: Any) -> Any:
            assert wait.wait(60)
            return outline(*arguments)

        monkeypatch.setattr(client.app.state.engine.served.predictor, "outline", later)  # type: ignore[attr-defined]
        asked = [pool.submit(client.post, "/segment", content=photo) for photo in photos()]
        # eight are in the engine, of whom the first batch, which waits, has taken four at most
        wait_until(lambda: len(client.app.state.engine.segmenter.batches._queue) >= 4)  # type: ignore[attr-defined]
        wait.set()
        together = [future.result().json() for future in asked]
        assert client.get("/readyz").status_code == 200
    assert max(sizes) > 1
    for one, several in zip(alone, together, strict=True):
        assert [s["area"] for s in one["segments"]] == [s["area"] for s in several["segments"]]
        assert [s["class_name"] for s in one["segments"]] == [s["class_name"] for s in several["segments"]]
        assert set(several["timings_ms"]) == {"decode", "embed", "sort", "retrieve", "total"}
        assert min(several["timings_ms"].values()) >= 0


def test_an_image_that_fails_does_not_fail_its_batch(
    start: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch, photo: bytes
) -> None:
    bad = encoded(np.full((72, 96, 3), 9, np.uint8))
    with start(batch=8) as client, ThreadPoolExecutor(16) as pool:
        engine = client.app.state.engine  # type: ignore[attr-defined]
        outline, wait = engine.served.predictor.outline, threading.Event()

        def sometimes(images: Sequence[Sized], segments: int | None) -> Any:
            assert wait.wait(60)
            if any((one.image == 9).all() for one in images):
                raise RuntimeError("a bad image")
            return outline(images, segments)

        monkeypatch.setattr(engine.served.predictor, "outline", sometimes)
        asked = [pool.submit(client.post, "/segment", content=bad if n == 4 else photo) for n in range(8)]
        wait_until(lambda: client.app.state.admission.running == 8)  # type: ignore[attr-defined]
        wait.set()
        assert sorted(future.result().status_code for future in asked) == [200] * 7 + [500]
        assert client.app.state.admission.running == 0  # type: ignore[attr-defined]


def test_exemplars_are_shown_through_batches_too(start: Callable[..., TestClient], photo: bytes) -> None:
    note = '[{"class_name": "kerb", "polygons": [[0, 0, 90, 0, 90, 70]]}]'
    with start(batch=4) as client:
        shown = client.post("/exemplars", files={"image": photo}, data={"annotations": note})
        assert shown.status_code == 201


def test_batches_larger_than_what_may_be_in_the_engine_are_refused(settings: Settings) -> None:
    with pytest.raises(ValueError, match=r"at_once=2 is below batch=4.*SEGSORT_AT_ONCE.*SEGSORT_BATCH"):
        Settings(data_dir=settings.data_dir, at_once=2, batch=4)
    assert Settings(device="cuda").lanes == 32
    assert Settings(device="cuda", at_once=4).largest_batch == 4
    assert Settings(batch=4).lanes == 8


def test_half_precision_is_for_gpus_and_bytes_are_for_cpus() -> None:
    with pytest.raises(ValueError, match=r"precision='float16' is for device='cuda'.*'cpu'.*SEGSORT_PRECISION"):
        Settings(precision="float16")
    with pytest.raises(ValueError, match=r"precision='int8' is for device='cpu'.*'cuda'.*SEGSORT_PRECISION"):
        Settings(precision="int8", device="cuda")
    assert Settings(precision="float16", device="cuda").precision == "float16"
    assert Settings(precision="int8").precision == "int8"
