"""Threads: how many a call may use, and the same compiled loop in all of them, which share its work (see `sharing`)."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch

from segsort.loops.sharing import LINE

T = TypeVar("T")
_MOST = 32  # threads beside the caller's
_limit = threading.local()


def allowed() -> int:
    """Threads that the compiled loops may use here: as `at_most` says, or else as many as torch may."""
    count: int | None = getattr(_limit, "count", None)
    return count if count is not None else torch.get_num_threads()


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """Let the block, in this thread, use so many: one where callers share the cores, all cores where one is alone.

    Raises:
        ValueError: if count is below 1.
    """
    if count < 1:
        raise ValueError(f"count={count} must be at least 1: the caller's own thread")
    before = getattr(_limit, "count", None)
    _limit.count = count
    try:
        yield
    finally:
        _limit.count = before


def counters(count: int) -> np.ndarray:
    """So many counters for `together`, all zero."""
    return np.zeros(count * LINE, dtype=np.int64)


def useful(count: int, each: int) -> int:
    """Threads for `count` rows, where one for less than `each` rows would cost more than it saves; at least one."""
    return max(1, min(allowed(), count // each, _MOST + 1))


def together(work: Callable[[int], None], count: int) -> None:
    """Run `work` in `count` threads, this one as number 0; those that have not begun when it is through need not.

    Where no more threads can be started, those that there are do the work.
    """
    others = [_begin(work, number) for number in range(1, count)]
    try:
        work(0)
    finally:
        failures = [other.exception() for other in others if not other.cancel()]  # all of them are waited for
    for failure in failures:
        if failure is not None:
            raise failure


def beside(work: Callable[[], T]) -> Callable[[], T]:
    """Begin `work` in another thread, where this one may use several; what is returned waits for what comes of it.

    Where it has not begun by then, or nobody else may, the caller does it.
    """
    if allowed() == 1:
        return work
    begun = _begin(work)
    return lambda: work() if begun.cancel() else begun.result()


def _begin(work: Callable[..., T], *arguments: Any) -> Future[T]:
    """Let another thread do some work; who cancels it can be sure that it never begins, or must wait for it.

    The pool's own future is not enough: where no thread can be started the work stays with the pool, which gives none.
    """
    future: Future[T] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)

    with suppress(RuntimeError):  # no new thread can be started
        _others().submit(run)
    return future


@cache
def _others() -> ThreadPoolExecutor:
    """They are started when they are first needed, and wait for more when they are done."""
    return ThreadPoolExecutor(_MOST, thread_name_prefix="segsort")
