"""Housekeeping: chores run again and again, and one that fails stops neither the others nor the thread."""

import logging
import threading

import pytest
from sqlalchemy.exc import OperationalError

from service.records.housekeeping import Housekeeping
from tests.service.serving import wait_until


def test_a_chore_that_fails_is_logged_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []
    rounds = threading.Semaphore(0)

    def fails_three_times() -> None:
        tries.append(1)
        if len(tries) <= 3:
            raise OperationalError("DELETE", {}, Exception("database is locked"))

    housekeeping = Housekeeping([fails_three_times, rounds.release])
    housekeeping.start()
    try:
        for _ in range(5):
            assert rounds.acquire(timeout=20)
        wait_until(lambda: len(tries) > 4)
    finally:
        housekeeping.stop()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "database is locked" in warnings[0].getMessage()
    done = len(tries)
    assert not rounds.acquire(timeout=1) or len(tries) == done, "nothing runs after stop"
