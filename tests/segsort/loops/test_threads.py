"""Threads that share the work of one call."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import pytest
import torch

from segsort.loops import components as run_kernels
from segsort.loops import kmeans as kernels
from segsort.loops import kmeans_bytes as byte_kernels
from segsort.loops import threads
from segsort.loops.blocks import block_of
from segsort.loops.threads import at_most, run_in_background, set_thread_limit, thread_limit, together, useful
from segsort.pixel_sorting import SortingOptions, sort_pixels, sorting_features
from segsort.segments import merge_small, outline_images, segment_image
from segsort.sphere import normalize


def embeddings(height: int = 70, width: int = 90) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 8, 9, 11, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return normalize(smooth + 0.2 * torch.randn(smooth.shape, generator=generator), dim=1)


def test_a_limit_holds_in_its_block_and_its_thread_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    with at_most(2):
        with at_most(7):
            assert thread_limit() == 7
        assert thread_limit() == 2
        found: list[int] = []
        other = threading.Thread(target=lambda: found.append(thread_limit()))
        other.start()
        other.join()
        assert found == [5]
    assert thread_limit() == 5
    with pytest.raises(ValueError, match="count=0"), at_most(0):
        pass


@pytest.fixture
def no_limit_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_own", [])


@pytest.mark.usefixtures("no_limit_of_the_process")
def test_the_limit_of_the_process_holds_in_every_thread_outside_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    set_thread_limit(3)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(thread_limit).result() == thread_limit() == 3
    with at_most(2):
        assert thread_limit() == 2
    with pytest.raises(ValueError, match="count=0"):
        set_thread_limit(0)


@pytest.mark.usefixtures("no_limit_of_the_process")
def test_without_torch_the_cores_of_the_process_are_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    for asked, expected in (("3", 3), ("", 7), ("0", 7), ("many", 7)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(7)))
        threads._cores.cache_clear()
        assert thread_limit() == expected
    threads._cores.cache_clear()


def test_little_work_is_for_one_thread() -> None:
    with at_most(4):
        assert [useful(rows, 100) for rows in (0, 99, 199, 200, 399, 10_000)] == [1, 1, 1, 2, 3, 4]


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_threads_sort_as_one_does(count: int, precision: Literal["float32", "int8"]) -> None:
    options = SortingOptions(30, iterations=6, coarse_iterations=3, precision=precision)
    with at_most(1):
        alone, features = sort_pixels(embeddings(), options), sorting_features(embeddings(), 0.5)
    for _ in range(5):
        with at_most(count):
            shared = sort_pixels(embeddings(), options)
            assert torch.equal(sorting_features(embeddings(), 0.5), features)
        assert torch.equal(shared.labels, alone.labels)
        torch.testing.assert_close(shared.theta, alone.theta)


def test_a_thread_that_never_comes_is_not_waited_for() -> None:
    """The leader does what is left, and ends an iteration when all pieces are done, whoever did them."""
    rows = sorting_features(embeddings(), 0.5)[0].numpy()
    start = np.arange(len(rows)) * 30 // len(rows)
    found = []
    for count in (1, 3):
        work = kernels.Sorting.allocate(rows, start.copy(), 30, 4, count)
        kernels.sort_rows(work, 4, 0)
        if count > 1:  # and one that comes when all is over finds nothing to do
            kernels.sort_rows(work, 4, 1)
        found.append(work.labels)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("count", [2, 4])
def test_threads_outline_as_one_does(count: int) -> None:
    sizes = [(280, 360), (75, 301)]
    several = embeddings().repeat(2, 1, 1, 1)
    with at_most(1):
        alone = outline_images(several, sizes, SortingOptions(30))
    with at_most(count):
        shared = outline_images(several, sizes, SortingOptions(30))
    for one, other in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)


@pytest.mark.parametrize(("height", "width"), [(401, 503), (3, 90_000), (90_000, 3)])
def test_threads_merge_small_as_one_does(height: int, width: int) -> None:
    random = np.random.default_rng(height)
    labels = random.integers(0, 3, (-(-height // 5), -(-width // 3)), dtype=np.int32).repeat(5, 0).repeat(3, 1)
    labels = np.ascontiguousarray(labels[:height, :width])
    labels[random.random(labels.shape) < 0.02] = 9
    before, found = labels.copy(), []
    for count in (1, 2, 5):
        with at_most(count):
            found.append(merge_small(labels, 12))
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_threads_segment_as_one_does() -> None:
    found = []
    for count in (1, 2, 5):
        with at_most(count):
            found.append(segment_image(embeddings()[0], (280, 360), SortingOptions(30), 0.001))
    for other in found[1:]:
        np.testing.assert_array_equal(other.labels, found[0].labels)
        np.testing.assert_array_equal(other.areas, found[0].areas)
        np.testing.assert_allclose(other.prototypes, found[0].prototypes, atol=1e-6)


def specks() -> None:
    merge_small(np.random.default_rng(0).integers(0, 3, (400, 500), dtype=np.int32), 5)


@pytest.mark.parametrize(
    ("kernels_of", "name", "work"),
    [
        (kernels, "sort_rows", lambda: sort_pixels(embeddings(), SortingOptions(30))),
        pytest.param(
            byte_kernels, "sort_rows", lambda: sort_pixels(embeddings(), SortingOptions(30, precision="int8")),
            marks=pytest.mark.skipif(not byte_kernels.supported(), reason="the processor has no AVX-512 VNNI"),
        ),
        (run_kernels, "find_components", specks),
    ],
)  # fmt: skip
def test_a_leader_that_fails_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, kernels_of: Any, name: str, work: Callable[[], object]
) -> None:
    loop, helped = getattr(kernels_of, name), threading.Event()

    def fails(*arguments: Any) -> None:
        if arguments[-1] == 0:
            time.sleep(0.05)  # the other has begun, and waits for what only this one does
            raise MemoryError
        loop(*arguments)
        helped.set()

    monkeypatch.setattr(kernels_of, name, fails)
    with at_most(2), pytest.raises(MemoryError):
        work()
    assert helped.is_set()


def test_where_no_thread_can_be_started_one_does_all_and_none_begins_later(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, done = ThreadPoolExecutor(2), []
    free, busy = threading.Event(), threading.Event()

    def wait() -> None:
        busy.set()
        free.wait(10)

    with pool:
        pool.submit(wait)
        busy.wait(10)
        monkeypatch.setattr(threads, "_others", lambda: pool)

        def cannot(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as no_more, at_most(3):
            no_more.setattr(threading.Thread, "start", cannot)
            together(done.append, 3)  # the pool keeps what it could not begin
            assert run_in_background(lambda: done.append(7))() is None
        free.set()
    assert done == [0, 7]


def test_work_beside_is_another_threads_and_its_failure_the_callers() -> None:
    with at_most(2):
        begun = threading.Event()
        told = run_in_background(lambda: (begun.set(), threading.get_ident()))
        assert begun.wait(10)
        assert told()[1] != threading.get_ident()
        failing = run_in_background(lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            failing()
    with at_most(1):
        assert run_in_background(threading.get_ident)() == threading.get_ident()


def test_work_beside_that_has_not_begun_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        def submit(self, *_: object) -> None:
            pass

    monkeypatch.setattr(threads, "_others", Slow)
    with at_most(2):
        assert run_in_background(threading.get_ident)() == threading.get_ident()


@pytest.mark.parametrize(("dimension", "columns"), [(34, 1), (34, 100), (34, 400), (66, 400), (34, 900)])
def test_no_product_is_so_large_that_blas_starts_threads(dimension: int, columns: int) -> None:
    rows = block_of(dimension, columns)
    assert rows % 16 == 0
    assert 16 <= rows <= 96
    assert rows * dimension * columns < 1 << 20


def test_all_threads_are_waited_for_also_when_one_fails() -> None:
    done = []
    begun = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            begun.wait(5)
            raise RuntimeError("the caller's own part")
        begun.set()
        time.sleep(0.05)
        done.append(number)

    with pytest.raises(RuntimeError, match="own part"):
        together(work, 2)
    assert done == [1]


def test_a_failure_in_another_thread_reaches_the_caller() -> None:
    begun = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            begun.wait(5)
            return
        begun.set()
        raise RuntimeError("another's part")

    with pytest.raises(RuntimeError, match="another's part"):
        together(work, 2)


def test_all_others_are_waited_for_when_one_of_them_fails() -> None:
    begun, done = threading.Barrier(3), []

    def work(number: int) -> None:
        begun.wait(10)
        if number == 1:
            raise KeyError("first")
        time.sleep(0.05 * number)
        done.append(number)

    with pytest.raises(KeyError, match="first"):
        together(work, 3)
    assert sorted(done) == [0, 2]
