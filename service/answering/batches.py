"""Batches: a device works for all who wait, at once, as soon as it is free; nobody waits for others to come."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

PATIENCE = 5.0  # seconds
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
    """Runs work for several callers at once, in one thread of its own.

    A batch is begun as soon as the one before is done: with whoever has waited longest, and those behind of the same
    key. If it fails it is halved, so that whatever fails alone fails alone.

    Args:
        most: the largest batch.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._queue: deque[_Waiting[_Item, _Result]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def ask(self, key: Hashable, work: Callable[[Sequence[_Item]], Sequence[_Result]], item: _Item) -> _Result:
        """The result for one item, of a batch of items with its key.

        Args:
            key: what those have in common that can be worked on at once: all of one key give the same work.
            work: gives a result for each of some items.
            item: of the caller.

        Raises:
            Exception: what `work` raised for this item alone.
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
        """End the thread once nobody waits, or who waits if it does not end soon."""
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
        """Run the next batch, of which nothing is kept; False when it is to end."""
        batch = self._next()
        try:
            self._work(batch)
        except BaseException as error:  # whatever it is: no caller waits in vain, and the next ones are served
            _log.exception("a batch of %d failed", len(batch))
            self._fail(batch, error if isinstance(error, Exception) else RuntimeError(repr(error)))
        return bool(batch)

    @staticmethod
    def _fail(waiting: Iterable[_Waiting[_Item, _Result]], error: Exception) -> None:
        for one in waiting:
            if not one.result.done():
                one.result.set_exception(error)

    def _next(self) -> list[_Waiting[_Item, _Result]]:
        """Those who are next, none when it is to end."""
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
