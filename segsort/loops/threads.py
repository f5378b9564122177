"""Threads: how many a call may use, and how one function runs in several of them (see `sharing`)."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
_MOST = 32  # threads in addition to the caller's
_limit = threading.local()  # of `at_most`
_own: list[int] = []  # the limit of `set_thread_limit`, if it was called


def thread_limit() -> int:
    """Number of threads that compiled loops may use in a call from this thread.

    It is the limit of `at_most`, or else of `set_thread_limit`, or else PyTorch's if that is imported. Otherwise it is
    the number of cores of this process, or OMP_NUM_THREADS.
    """
    count: int | None = getattr(_limit, "count", None)
    if count is not None:
        return count
    if _own:
        return _own[0]
    torch = sys.modules.get("torch")
    found: int = torch.get_num_threads() if torch is not None else _cores()
    return found


def set_thread_limit(count: int) -> None:
    """Set how many threads compiled loops may use in calls outside of `at_most`, in all threads of this process.

    Raises:
        ValueError: if count is below 1.
    """
    if count < 1:
        raise ValueError(f"count={count} must be at least 1: the caller's own thread")
    _own[:] = [count]


@cache
def _cores() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(asked) if asked.isdecimal() and int(asked) else cores


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """Limit the threads that compiled loops use when this thread calls them inside the block.

    Use 1 where several callers share the cores, and the number of cores where one caller is alone.

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


def useful(count: int, each: int) -> int:
    """Threads for `count` rows when a thread pays off from `each` rows on; at least one."""
    return max(1, min(thread_limit(), count // each, _MOST + 1))


def together(work: Callable[[int], None], count: int) -> None:
    """Run `work(number)` in `count` threads, this one as number 0.

    A thread that has not begun when this one is done is cancelled. If no thread can be started, this one does
    everything. The first failure is raised here, after all threads have ended.
    """
    others = [_begin(work, number) for number in range(1, count)]
    try:
        work(0)
    finally:
        failures = [other.exception() for other in others if not other.cancel()]  # waits for all of them
    for failure in failures:
        if failure is not None:
            raise failure


def run_in_background(work: Callable[[], T]) -> Callable[[], T]:
    """Begin `work` in another thread, if this thread may use several.

    Returns:
        A function that waits for the result and returns it. If the work has not begun by then, or only one thread is
        allowed, this function runs the work itself.
    """
    if thread_limit() == 1:
        return work
    begun = _begin(work)
    return lambda: work() if begun.cancel() else begun.result()


def _begin(work: Callable[..., T], *arguments: Any) -> Future[T]:
    """Submit work to the pool; after a successful `cancel` it never begins.

    The pool's own future does not suffice. If no thread can be started, `submit` raises and gives no future, but the
    pool keeps the work.
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
    """The pool; its threads start when they are first needed and stay."""
    return ThreadPoolExecutor(_MOST, thread_name_prefix="segsort")
