"""Audits in the background."""

import threading
from collections.abc import Iterator

import pytest

from segsort.loops import threads
from service.answering.core_sharing import CoreSharing
from service.auditing.audits import Audits


@pytest.fixture
def audits() -> Iterator[Audits]:
    audits = Audits(CoreSharing(4, 1))
    yield audits
    audits.close()


def test_a_result_is_computed_once_and_kept(audits: Audits) -> None:
    calls: list[int] = []
    first = audits.ask(("a", 1), lambda: calls.append(1) or 7)
    assert first.result(10) == 7
    assert audits.ask(("a", 1), lambda: 8) is first
    assert audits.ask(("a", 2), lambda: 9).result(10) == 9
    assert calls == [1]


def test_a_failure_is_not_kept(audits: Audits) -> None:
    def fail() -> int:
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="disk"):
        audits.ask(("a", 1), fail).result(10)
    assert audits.ask(("a", 1), lambda: 7).result(10) == 7


def test_the_oldest_results_are_dropped(audits: Audits) -> None:
    first = audits.ask(("a", 0), lambda: 0)
    for revision in range(1, 12):
        audits.ask(("a", revision), lambda: 0).result(10)
    assert audits.ask(("a", 0), lambda: 0) is not first


def test_the_work_takes_half_of_the_cores(audits: Audits) -> None:
    assert audits.ask(("a", 1), lambda: threads.thread_limit()).result(10) == 2


def test_closing_cancels_what_waits(audits: Audits) -> None:
    begun, go = threading.Event(), threading.Event()
    running = audits.ask(("a", 1), lambda: (begun.set(), go.wait(10))[1])
    assert begun.wait(10)
    waiting = audits.ask(("a", 2), lambda: 1)
    audits.close()
    go.set()
    assert waiting.cancelled()
    assert running.result(10)
