"""The protocol by which threads share the work of a loop."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from segsort.loops import at_most, components, kmeans, kmeans_bytes
from segsort.loops.cache import loop
from segsort.loops.sharing import LINE, add, counters, read, share, wait
from segsort.pixel_sorting import SortingOptions, sort_pixels
from segsort.segments import merge_small
from tests.segsort.loops.data import smooth_embeddings


def test_counters_are_zero_and_each_has_its_own_line_of_memory() -> None:
    shared = counters(3)
    assert shared.dtype == np.int64
    assert len(shared) == 3 * LINE
    assert LINE * shared.itemsize == 64
    assert not shared.any()


def test_an_add_returns_the_value_before_and_changes_its_counter_alone() -> None:
    shared = counters(3)
    assert add(shared, 1, 5) == 0
    assert add(shared, 1, -2) == 5
    assert [read(shared, number) for number in range(3)] == [0, 3, 0]


@loop()
def _count_up(shared: np.ndarray, times: int) -> None:
    for _ in range(times):
        add(shared, 0, 1)


def test_no_add_of_several_threads_is_lost() -> None:
    shared = counters(1)
    threads = [threading.Thread(target=_count_up, args=(shared, 200_000)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(shared, 0) == 800_000


def test_a_wait_ends_when_another_thread_has_counted_far_enough() -> None:
    shared, ended = counters(1), threading.Event()

    def waits() -> None:
        wait(shared, 0, 2)
        ended.set()

    thread = threading.Thread(target=waits)
    thread.start()
    add(shared, 0, 1)
    time.sleep(0.05)
    assert not ended.is_set()
    add(shared, 0, 1)
    assert ended.wait(30)
    thread.join()


def test_a_wait_for_what_is_already_counted_returns_at_once() -> None:
    shared = counters(1)
    add(shared, 0, 7)
    wait(shared, 0, 7)


def test_when_a_thread_fails_the_others_are_let_go_and_its_error_is_raised() -> None:
    stopped, others_go = [], threading.Event()

    def stop() -> None:
        stopped.append(threading.get_ident())
        others_go.set()

    begun = threading.Event()

    def work(number: int) -> None:
        if number == 1:
            begun.set()
            assert others_go.wait(30)  # waits for the leader
            return
        begun.wait(30)
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        share(work, 2, stop)
    assert stopped == [threading.get_ident()]


def test_nobody_is_let_go_when_none_fails() -> None:
    done: list[int] = []
    share(done.append, 1, lambda: done.append(-1))
    assert done == [0]


TAKEN, DONE = range(2)


@loop()
def _square_and_sum(numbers: np.ndarray, squares: np.ndarray, totals: np.ndarray, shared: np.ndarray) -> None:
    """The protocol as its page shows it: squares of all numbers by pieces, and their sum when all are finished."""
    n = len(numbers)
    piece = add(shared, TAKEN, 1)
    while piece < n:
        squares[piece] = numbers[piece] * numbers[piece]
        add(shared, DONE, 1)
        piece = add(shared, TAKEN, 1)
    wait(shared, DONE, n)
    total = 0
    for square in squares:
        total += square
    totals[add(shared, DONE, 1) - n] = total  # every thread has a place of its own


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_thread_sees_the_results_of_all_pieces_after_its_wait(count: int) -> None:
    numbers = np.arange(20_000)
    squares, totals, shared = np.zeros_like(numbers), np.full(count, -1), counters(2)
    threads = [threading.Thread(target=_square_and_sum, args=(numbers, squares, totals, shared)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals.tolist() == [int((numbers**2).sum())] * count
    assert read(shared, TAKEN) == len(numbers) + count  # each number once, and one claim too many by each thread


def merge_a_map() -> None:
    merge_small(np.random.default_rng(0).integers(0, 3, (400, 500), dtype=np.int32), 5)


def sort(precision: Any) -> Callable[[], object]:
    return lambda: sort_pixels(smooth_embeddings(height=70, width=90), SortingOptions(30, precision=precision))


@pytest.mark.parametrize(
    ("module", "name", "work"),
    [
        (kmeans, "sort_rows", sort("float32")),
        pytest.param(
            kmeans_bytes, "sort_rows", sort("int8"),
            marks=pytest.mark.skipif(not kmeans_bytes.supported(), reason="the processor has no AVX-512 VNNI"),
        ),
        (components, "find_components", merge_a_map),
    ],
)  # fmt: skip
@pytest.mark.parametrize("failing", [0, 1])
def test_a_thread_that_fails_leaves_no_other_waiting(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, work: Callable[[], object], failing: int
) -> None:
    compiled, ended, begun = getattr(module, name), threading.Event(), threading.Event()

    def fails(*arguments: Any) -> None:
        if arguments[-1] == failing:
            begun.set()
            time.sleep(0.05)  # the other waits for this one by now
            raise MemoryError
        begun.wait(30)  # else it may be done before the other begins
        compiled(*arguments)
        ended.set()

    monkeypatch.setattr(module, name, fails)
    with at_most(2), pytest.raises(MemoryError):
        work()
    assert ended.is_set()
