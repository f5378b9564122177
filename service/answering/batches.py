"""Batches: run all waiting requests together as soon as the device is free, without waiting for more."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

PATIENCE = 5.0  # seconds that `close` waits for a batch to end
_log = logging.getLogger("segsort.batches")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass
class _Waiting(Generic[_Item, _Result]):
    key: Hashable
    work: Callable[[Sequence[_Item]], Sequence[_Result]]
    item: _Item
    result: Future[_Result] = field(default_factory=Future)


class Batches(Generic[_Item, _Result]):
    """Runs work for several callers in one batch, in a thread of its own.

    A batch starts when the one before is done. It takes the request that has waited longest and others with the same
    key. If a batch fails it is split in halves, so that only the item that causes an error gets the error.

    Args:
        most: size of the largest batch.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._queue: deque[_Waiting[_Item, _Result]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def ask(self, key: Hashable, work: Callable[[Sequence[_Item]], Sequence[_Result]], item: _Item) -> _Result:
        """Run one item in a batch, and wait for its result.

        Args:
            key: only items with equal keys share a batch, and they must pass equivalent `work`.
            work: computes one result for each item.
            item: of the caller.

        Raises:
            Exception: the error of `work` for this item alone.
            RuntimeError: if the batches are closed.
        """
        waiting = _Waiting(key, work, item)
        with self._changed:
            if self._closed:
                raise RuntimeError("the service has ended")
            self._queue.append(waiting)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="segsort-batches", daemon=True)
                self._thread.start()
            self._changed.notify()
        return waiting.result.result()

    def close(self) -> None:
        """Run what waits, then end the thread. What still waits after `PATIENCE` seconds fails with RuntimeError."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(PATIENCE)
        with self._changed:
            self._fail(self._queue, RuntimeError("the service has ended"))
            self._queue.clear()

    def _run(self) -> None:
        while self._run_one():
            pass

    def _run_one(self) -> bool:
        """Run the next batch and drop all references to it; False if there is none and the batches are closed."""
        batch = self._next()
        try:
            self._work(batch)
        except BaseException as error:  # no caller may wait for ever, and the thread must go on
            _log.exception("a batch of %d failed", len(batch))
            self._fail(batch, error if isinstance(error, Exception) else RuntimeError(repr(error)))
        return bool(batch)

    @staticmethod
    def _fail(waiting: Iterable[_Waiting[_Item, _Result]], error: Exception) -> None:
        for one in waiting:
            if not one.result.done():
                one.result.set_exception(error)

    def _next(self) -> list[_Waiting[_Item, _Result]]:
        """Wait for the next batch; empty if the batches are closed and nothing waits."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            if not self._queue:
                return []
            key = self._queue[0].key
            batch: list[_Waiting[_Item, _Result]] = []
            others: deque[_Waiting[_Item, _Result]] = deque()
            for one in self._queue:
                (batch if one.key == key and len(batch) < self.most else others).append(one)
            self._queue = others
            return batch

    def _work(self, batch: list[_Waiting[_Item, _Result]]) -> None:
        if not batch:
            return
        try:
            results = batch[0].work([one.item for one in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].result.set_exception(error)
                return
            _log.warning("a batch of %d failed and is halved: %s", len(batch), error)
            self._work(batch[: len(batch) // 2])
            self._work(batch[len(batch) // 2 :])
            return
        for one, result in zip(batch, results, strict=True):
            one.result.set_result(result)
