"""Audits in the background: each is computed once for a revision, in a thread of its own."""

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from segsort.loops import at_most
from service.answering.core_sharing import CoreSharing

T = TypeVar("T")
_KEPT = 8  # results; those that requests wait for are kept in addition
_Work = tuple[Callable[[], Any], "Future[Any]"]


class Audits:
    """Computes audits one after the other, and keeps the newest results. Calls from several threads are safe.

    The thread uses half of the cores at most, and counts as one image of those that share the cores. So answers are
    slower while it runs, but none waits for it.

    Args:
        cores: how the work of the service divides the cores.
    """

    def __init__(self, cores: CoreSharing) -> None:
        self._cores = cores
        self._results: OrderedDict[tuple[object, ...], Future[Any]] = OrderedDict()
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, key: tuple[object, ...], compute: Callable[[], T]) -> "Future[T]":
        """The result of a computation, perhaps in the future. A failure is not kept.

        Args:
            key: what is computed, and of which revision.
            compute: called in the thread of audits, if no result is kept for the key.
        """
        with self._lock:
            found = self._results.get(key)
            if found is None or (found.done() and (found.cancelled() or found.exception() is not None)):
                found = self._results[key] = Future()
                self._start()
                self._waiting.put((compute, found))
            self._results.move_to_end(key)
            done = [name for name, one in self._results.items() if one.done() and one is not found]
            for name in done[: max(0, len(self._results) - _KEPT)]:
                del self._results[name]
            return found

    def close(self) -> None:
        """End the thread after the audit that it computes. Others that wait are cancelled."""
        with self._lock:
            for one in self._results.values():
                one.cancel()
            self._results.clear()
            self._waiting.put(None)
            self._thread = None

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="segsort-audits", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            compute, result = work
            if not result.set_running_or_notify_cancel():
                continue
            try:
                with self._cores.joined(), at_most(max(1, self._cores.cores // 2)):
                    result.set_result(compute())
            except BaseException as error:  # the caller of `result` gets it; the thread goes on
                result.set_exception(error)
