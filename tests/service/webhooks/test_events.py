"""Events: what is sent of edits and ended jobs, what is left out, and in which order."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from service.records.jobs import Jobs
from service.records.tables import EditRow, EndedJobRow, JobRow, now
from service.webhooks.addresses import parse_url
from service.webhooks.delivery import Delivery
from service.webhooks.events import next_events
from service.webhooks.webhooks import Webhooks
from tests.service.serving import wait_until
from tests.service.webhooks.conftest import RULES, Make, Receiver, Work, hooked, revisions


def test_edits_and_ended_jobs_are_sent_with_all_that_is_documented(work: Work, make: Make, receiver: Receiver) -> None:
    work.edit()
    work.end_job()
    hooked(make(), receiver)
    with receiver.up():
        work.edit()
        job_id = work.end_job("failed")
        wait_until(lambda: len(receiver.received) == 2)
    edit, job = receiver.received
    assert edit["type"] == "edit.made"
    assert edit["data"] == {
        "revision": 2, "kind": "remove", "release": "tiny", "release_digest": "d1", "author": "anna",
        "url": "/sub/edits/2",
    }  # fmt: skip
    assert job["type"] == "job.ended"
    assert job["data"] == {
        "job_id": job_id, "kind": "adapt", "state": "failed", "release": "tiny", "release_digest": "d1",
        "author": "anna", "url": f"/sub/jobs/{job_id}",
    }  # fmt: skip
    assert (edit["id"][:7], job["id"]) == ("edit_2_", f"job_{job_id}")
    assert not any(line["again"] for line in receiver.lines)


def test_events_that_are_not_wanted_are_not_sent(work: Work, make: Make, receiver: Receiver) -> None:
    hooked(make(), receiver, "job.ended")
    with receiver.up():
        work.edit(3)
        work.end_job()
        wait_until(lambda: receiver.received)
        time.sleep(0.2)
    assert [line["type"] for line in receiver.lines] == ["job.ended"]


def test_deleted_jobs_and_lost_edits_are_passed_over(work: Work, make: Make, receiver: Receiver) -> None:
    webhook_id = hooked(webhooks := make(), receiver)
    work.edit(3)
    jobs = [work.end_job() for _ in range(2)]
    wait_until(lambda: webhooks.get(webhook_id).waiting == 5)
    with work.database.begin() as connection:
        connection.execute(delete(EditRow).where(EditRow.revision == 2))
        connection.execute(delete(JobRow).where(JobRow.job_id == jobs[0]))
    with receiver.up():
        wait_until(lambda: webhooks.get(webhook_id).waiting == 0)
        assert revisions(receiver.received) == [1, 3]
        assert [line["data"]["job_id"] for line in receiver.received[2:]] == [jobs[1]]
        last = work.end_job()
        wait_until(lambda: webhooks.get(webhook_id).waiting == 1 or len(receiver.received) == 4)
        with work.database.begin() as connection:
            connection.execute(delete(JobRow).where(JobRow.job_id == last))
        wait_until(lambda: webhooks.get(webhook_id).waiting == 0)


def test_jobs_are_in_the_order_in_which_they_were_seen_to_end_whatever_their_times(
    work: Work, make: Make, receiver: Receiver
) -> None:
    """The second job ends by a clock that is behind, and is written after the first was delivered."""
    hooked(make(), receiver)
    with receiver.up():
        first = work.end_job()
        wait_until(lambda: len(receiver.received) == 1)
        second = work.begin_job()
        with work.database.begin() as connection:
            past = {"state": "failed", "ended": now() - timedelta(hours=2)}
            connection.execute(update(JobRow).where(JobRow.job_id == second).values(**past))
        wait_until(lambda: len(receiver.received) == 2)
        third = work.end_job()
        wait_until(lambda: len(receiver.received) == 3)
    assert [line["data"]["job_id"] for line in receiver.lines] == [first, second, third]


def test_a_job_that_ends_during_a_delivery_is_sent_once(work: Work, receiver: Receiver) -> None:
    webhooks = Webhooks(work.database, RULES)
    webhook_id = hooked(webhooks, receiver)
    for _ in range(2):
        work.end_job()
    sender, webhook = webhooks.sender, webhooks.get(webhook_id).webhook
    delivery = Delivery(work.database, sender.rows, "a", RULES, sender.counts, threading.Event())
    with receiver.up():
        for _ in range(2):
            delivery.run(webhook, parse_url(receiver.url), ended=0)
    assert len(receiver.lines) == 2
    assert webhooks.get(webhook_id).progress.job == 2


def test_interrupted_and_cancelled_jobs_have_ended_too(work: Work, make: Make, receiver: Receiver) -> None:
    hooked(make(), receiver)
    with receiver.up():
        work.end_job("cancelled")
        work.begin_job()
        Jobs(work.database).interrupt(lambda job: True)
        wait_until(lambda: len(receiver.received) == 2)
    assert [line["data"]["state"] for line in receiver.lines] == ["cancelled", "interrupted"]


def test_events_are_read_in_small_parts(
    work: Work, make: Make, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not grow with what waits: 300 events are never in memory at once."""
    most = [0]

    def counted(*args: Any) -> Any:
        events = next_events(*args)
        most[0] = max(most[0], len(events))
        return events

    monkeypatch.setattr("service.webhooks.delivery.next_events", counted)
    hooked(make(), receiver)
    work.edit(300)
    with receiver.up():
        wait_until(lambda: len(receiver.received) == 300)
    assert revisions(receiver.received) == list(range(1, 301))
    assert most[0] == 50


def test_rows_of_jobs_that_ended_before_the_first_webhook_are_not_sent(
    work: Work, make: Make, receiver: Receiver
) -> None:
    for _ in range(3):
        work.end_job()
    with work.database.begin() as connection:
        connection.execute(insert(EndedJobRow).values(number=1, job_id="of a job that was deleted"))
    hooked(make(), receiver)
    with receiver.up():
        new = work.end_job()
        wait_until(lambda: receiver.received)
        time.sleep(0.2)
    assert [line["data"]["job_id"] for line in receiver.lines] == [new]
