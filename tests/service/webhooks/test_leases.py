"""Of several processes, one sends at a time: leases, which a dead process loses, and clocks that are set back."""

import threading
import time
from datetime import datetime, timedelta

from sqlalchemy import select, update

from service.records.tables import EndedJobRow, WebhookProgressRow
from service.records.webhook_rows import Position, Stream
from service.webhooks.webhooks import Webhooks
from tests.service.serving import wait_until
from tests.service.webhooks.conftest import RULES, Make, Receiver, Work, hooked, revisions


def test_of_two_processes_one_sends_and_the_other_takes_over_when_it_is_dead(
    work: Work, make: Make, receiver: Receiver
) -> None:
    one = make()
    webhook_id = hooked(one, receiver)
    other = make()
    with receiver.up():
        for _ in range(20):
            work.edit(3)
            work.end_job()
        wait_until(lambda: len(receiver.received) == 80)
        assert len(receiver.lines) == 80
        assert revisions(receiver.lines) == list(range(1, 61))
        until = other.sender.rows.time() + timedelta(seconds=2)
        wait_until(lambda: takes_free_lease(work, "a dead process", until))
        work.edit()
        time.sleep(0.4)
        sent = len(receiver.lines)
        assert sent == 80 or other.sender.rows.time() >= until, "the lease of the dead process still holds"
        wait_until(lambda: len(receiver.received) == 81)
    assert webhooks_of(one, other, webhook_id) == {0}


def takes_free_lease(work: Work, owner: str, until: datetime) -> bool:
    """Take the lease if no sender has it: one that has it may send what is written next before it notices."""
    row = WebhookProgressRow
    with work.database.begin() as connection:
        taken = connection.execute(update(row).where(row.lease.is_(None)).values(lease=owner, lease_until=until))
    return bool(taken.rowcount)


def webhooks_of(one: Webhooks, other: Webhooks, webhook_id: str) -> set[int]:
    """How many events wait, by each process."""
    wait_until(lambda: one.get(webhook_id).waiting == 0)
    return {webhooks.get(webhook_id).waiting for webhooks in (one, other)}


def test_a_process_that_lost_its_lease_changes_nothing(work: Work, make: Make, receiver: Receiver) -> None:
    webhooks = make(targets="none")  # its sender does not run
    made, _ = Webhooks(work.database, RULES).make(receiver.url, ("edit.made",), "anna")
    rows, webhook_id = webhooks.sender.rows, made.webhook.webhook_id
    assert rows.take_lease(webhook_id, "a", 100)
    assert not rows.take_lease(webhook_id, "b", 100)
    rows.give_lease_back(webhook_id, "b")
    assert not rows.advance(webhook_id, "b", "edit", 7, 100)
    rows.fail(webhook_id, "b", "no", 5)
    assert rows.advance(webhook_id, "a", "edit", 6, 0.0)
    time.sleep(0.01)
    assert rows.take_lease(webhook_id, "b", 100)
    assert not rows.advance(webhook_id, "a", "edit", 7, 100)
    progress = webhooks.get(webhook_id).progress
    assert (progress.edit, progress.failures, progress.lease) == (6, 0, "b")


def test_a_position_is_never_set_back(work: Work, make: Make, receiver: Receiver) -> None:
    """Whatever was read earlier and is written later: by a delivery, by a sender that finds no rows, by an operator."""
    webhooks = make(targets="none")  # its sender does not run
    made, _ = Webhooks(work.database, RULES).make(receiver.url, ("edit.made",), "anna")
    rows, webhook_id = webhooks.sender.rows, made.webhook.webhook_id

    def position() -> Position:
        progress = webhooks.get(webhook_id).progress
        return Position(progress.edit, progress.job)

    assert rows.take_lease(webhook_id, "a", 100)
    assert rows.advance(webhook_id, "a", "edit", 3, 100)
    assert rows.resume(webhook_id, Position(9, 7))
    late: tuple[tuple[Stream, int], ...] = (("edit", 4), ("edit", 9), ("job", 7))
    for stream, number in late:
        assert not rows.advance(webhook_id, "a", stream, number, 100)
        assert position() == (9, 7)
    rows.skip(webhook_id, "a", Position(8, 8))
    assert position() == (9, 8)
    assert rows.resume(webhook_id, Position(10, 2))
    assert position() == (10, 8)
    assert rows.advance(webhook_id, "a", "edit", 11, 100)
    assert position() == (11, 8)


def test_two_processes_number_ended_jobs_without_a_gap(work: Work) -> None:
    one, other = (Webhooks(work.database, RULES).sender.jobs for _ in range(2))
    for _ in range(30):
        work.end_job()
        threads = [threading.Thread(target=jobs.number) for jobs in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with work.database.connect() as connection:
        rows = connection.execute(select(EndedJobRow.number, EndedJobRow.job_id).order_by(EndedJobRow.number)).all()
    assert [row.number for row in rows] == list(range(1, 31))
    assert len({row.job_id for row in rows}) == 30


def test_a_lease_from_before_the_clock_was_set_back_does_not_hold(work: Work, make: Make, receiver: Receiver) -> None:
    webhook_id = hooked(webhooks := make(), receiver)
    with work.database.begin() as connection:
        later = webhooks.sender.rows.time() + timedelta(hours=3)
        connection.execute(update(WebhookProgressRow).values(lease="a dead process", lease_until=later))
    with receiver.up():
        work.edit()
        wait_until(lambda: webhooks.get(webhook_id).waiting == 0)
    assert revisions(receiver.lines) == [1]


def test_a_try_that_was_planned_before_the_clock_was_set_back_is_due(
    work: Work, make: Make, receiver: Receiver
) -> None:
    webhook_id = hooked(webhooks := make(), receiver)
    with work.database.begin() as connection:
        later = webhooks.sender.rows.time() + timedelta(days=2)
        values = {"failures": 1, "failing_since": later, "next_try": later + timedelta(seconds=1)}
        connection.execute(update(WebhookProgressRow).values(**values))
    with receiver.up():
        work.edit()
        wait_until(lambda: webhooks.get(webhook_id).waiting == 0)
    assert revisions(receiver.lines) == [1]
