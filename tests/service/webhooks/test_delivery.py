"""Delivery: every event, in order, again until it is answered; receivers, rows and a database that fail."""

import socket
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from service.problems import Problem
from service.records.tables import WebhookProgressRow, WebhookRow, now
from service.records.webhook_rows import MOST
from service.webhooks.webhooks import Webhooks
from tests.service.serving import wait_until
from tests.service.webhooks.conftest import RULES, Make, Receiver, Work, hooked, revisions


def test_every_event_is_delivered_once_and_in_order_after_the_receiver_was_down(
    work: Work, make: Make, receiver: Receiver
) -> None:
    """It is down, then answers 503, then it is killed while events arrive."""
    webhook_id = hooked(webhooks := make(), receiver)
    work.edit(5)
    wait_until(lambda: webhooks.get(webhook_id).progress.failures >= 2)
    receiver.answer(503)
    with receiver.up():
        wait_until(lambda: len(receiver.lines) >= 2)
        receiver.answer(204)
        wait_until(lambda: len(receiver.received) == 5)
    jobs = []
    for _ in range(10):
        work.edit(3)
        jobs.append(work.end_job())
    with receiver.up():
        wait_until(lambda: len(receiver.received) >= 20)
    with receiver.up():
        wait_until(lambda: webhooks.get(webhook_id).waiting == 0)
    first = [line for line in receiver.received if not line["again"]]
    assert revisions(first) == list(range(1, 36))
    assert [line["data"]["job_id"] for line in first if line["type"] == "job.ended"] == jobs
    assert len(receiver.received) - len(first) <= 2, "what was noted before a kill, and not answered, is sent once more"
    tries = [line["id"] for line in receiver.lines]
    assert len(tries) > len(set(tries)) == 45, "an event has the same id in each try"
    found = webhooks.get(webhook_id).progress
    assert (found.failures, found.problem, found.next_try, found.stopped) == (0, None, None, False)


def test_pauses_grow_and_heed_what_the_receiver_asks_for(work: Work, make: Make, receiver: Receiver) -> None:
    rules = RULES._replace(first_pause=2.0, longest_pause=60.0)
    pauses = [[rules.pause(failures, None) for _ in range(50)] for failures in range(10)]
    for failures, some in enumerate(pauses):
        middle = min(60.0, 2.0 * 2**failures)
        assert all(0.75 * middle <= pause <= 1.25 * middle for pause in some)
        assert len(set(some)) > 1, "pauses differ, so that many senders do not come at once"
    assert rules.pause(10**9, None) <= 75.0
    assert rules.pause(0, 300.0) == 300.0
    assert rules.pause(0, 1e9) == 86_400.0
    webhook_id = hooked(webhooks := make(), receiver)
    receiver.answer(503, 3600)
    with receiver.up():
        work.edit()
        wait_until(lambda: webhooks.get(webhook_id).progress.failures == 1)
        time.sleep(0.5)
        assert len(receiver.lines) == 1
    next_try = webhooks.get(webhook_id).progress.next_try
    assert next_try is not None
    assert timedelta(minutes=59) < next_try - now() <= timedelta(hours=1)
    receiver.answer(204)
    with receiver.up():
        webhooks.resume(webhook_id, skip=False, author="anna")
        wait_until(lambda: receiver.received)


def test_a_receiver_that_is_gone_stops_its_webhook_until_it_is_resumed(
    work: Work, make: Make, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    webhook_id = hooked(webhooks := make(), receiver)
    receiver.answer(410)
    with receiver.up():
        work.edit(2)
        wait_until(lambda: webhooks.get(webhook_id).progress.stopped)
        work.edit()
        time.sleep(0.2)
        assert len(receiver.lines) == 1
        assert "wants no more events" in str(webhooks.get(webhook_id).progress.problem)
        assert f"webhook {webhook_id}" in caplog.text
        assert "hook?a=b" not in caplog.text, "a path may hold a token"
        receiver.answer(204)
        webhooks.resume(webhook_id, skip=False, author="anna")
        wait_until(lambda: len(receiver.received) == 3)
    assert revisions(receiver.received) == [1, 2, 3]


def test_a_webhook_is_stopped_after_days_of_failures_and_may_go_on_without_what_waits(
    work: Work, make: Make, receiver: Receiver
) -> None:
    webhook_id = hooked(webhooks := make(longest_pause=0.05), receiver)
    work.edit(2)
    wait_until(lambda: webhooks.get(webhook_id).progress.failing_since)
    with work.database.begin() as connection:
        connection.execute(update(WebhookProgressRow).values(failing_since=now() - timedelta(days=1, seconds=1)))
    wait_until(lambda: webhooks.get(webhook_id).progress.stopped)
    assert "failed for more than 1 days" in str(webhooks.get(webhook_id).progress.problem)
    with receiver.up():
        assert webhooks.resume(webhook_id, skip=True, author="anna").waiting == 0
        work.edit()
        wait_until(lambda: receiver.received)
    assert revisions(receiver.lines) == [3]


def test_a_webhook_that_fails_is_stopped_when_too_many_events_wait(work: Work, make: Make, receiver: Receiver) -> None:
    webhook_id = hooked(webhooks := make(backlog=5), receiver)
    work.edit(3)
    wait_until(lambda: webhooks.get(webhook_id).progress.failures >= 1)
    work.edit(3)
    wait_until(lambda: webhooks.get(webhook_id).progress.stopped)
    assert str(webhooks.get(webhook_id).progress.problem).startswith("6 events wait; edit_1_")
    with receiver.up():
        webhooks.resume(webhook_id, skip=False, author="anna")
        wait_until(lambda: len(receiver.received) == 6)


def test_events_that_are_left_out_while_one_is_sent_stay_left_out(
    work: Work, make: Make, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator skips what waits after the receiver has answered, and before the delivery is noted."""
    webhooks = make()
    rows = webhooks.sender.rows
    real, noted = rows.advance, list[bool]()

    def advance(*args: Any) -> bool:
        if not noted:
            assert webhooks.resume(webhook_id, skip=True, author="anna").waiting == 0
        noted.append(real(*args))
        return noted[-1]

    monkeypatch.setattr(rows, "advance", advance)
    webhook_id = hooked(webhooks, receiver)
    work.edit(20)
    job_id = work.end_job()
    with receiver.up():
        wait_until(lambda: noted)
        assert webhooks.get(webhook_id).waiting == 0
        work.edit()
        wait_until(lambda: len(receiver.received) >= 2)
        wait_until(lambda: webhooks.get(webhook_id).waiting == 0)
    assert revisions(receiver.received) == [1, 21]
    assert job_id not in {line["data"].get("job_id") for line in receiver.lines}
    assert noted == [False, True]


def test_an_altered_webhook_is_stopped(work: Work, make: Make, receiver: Receiver) -> None:
    webhook_id = hooked(webhooks := make(), receiver)
    with work.database.begin() as connection:
        connection.execute(update(WebhookRow).values(url=receiver.url + "&c=d"))
    with receiver.up():
        assert "altered" in str(webhooks.test(webhook_id).reply.problem)
        work.edit()
        wait_until(lambda: webhooks.get(webhook_id).progress.stopped)
        assert "altered" in str(webhooks.get(webhook_id).progress.problem)
    assert receiver.lines == []


def test_a_deleted_webhook_gets_nothing_more(work: Work, make: Make, receiver: Receiver) -> None:
    webhook_id = hooked(webhooks := make(), receiver)
    work.edit()
    wait_until(lambda: webhooks.get(webhook_id).progress.failures >= 1)
    webhooks.remove(webhook_id, "anna")
    with receiver.up():
        time.sleep(0.5)
    assert receiver.lines == []
    with pytest.raises(Problem) as missing:
        webhooks.get(webhook_id)
    assert missing.value.status == 404


def test_there_are_at_most_so_many_webhooks(work: Work, receiver: Receiver) -> None:
    webhooks = Webhooks(work.database, RULES)
    for _ in range(MOST):
        webhooks.make(receiver.url, ("edit.made",), "anna")
    with pytest.raises(Problem) as refused:
        webhooks.make(receiver.url, ("edit.made",), "anna")
    assert refused.value.status == 409
    assert len(webhooks.all()) == MOST


def test_the_secret_is_not_in_the_problem_of_a_database_that_fails(
    work: Work, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.webhooks.webhooks.new_secret", lambda: "whsec_known")
    webhooks = Webhooks(work.database, RULES)
    with work.database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE webhook_progress")
    with pytest.raises(Exception) as failed:  # noqa: PT011
        webhooks.make(receiver.url, ("edit.made",), "anna")
    assert isinstance(failed.value, Problem)
    assert failed.value.__cause__ is None
    assert "whsec_known" not in f"{failed.value} {failed.value.__context__} {caplog.text}"


def test_a_sender_goes_on_after_the_database_failed(work: Work, make: Make, receiver: Receiver) -> None:
    webhook_id = hooked(webhooks := make(), receiver)
    with receiver.up():
        with work.database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE webhook_progress RENAME TO away")
        time.sleep(0.2)
        with work.database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO webhook_progress")
        work.edit()
        wait_until(lambda: webhooks.get(webhook_id).waiting == 0 and receiver.received)


def test_an_event_that_was_answered_is_not_sent_again_while_the_database_is_locked(
    work: Work, make: Make, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses to note the delivery for a moment."""
    webhooks = make()
    real, refused = webhooks.sender.rows.advance, [0]

    def advance(*args: Any) -> bool:
        if refused[0] < 2:
            refused[0] += 1
            with work.database.connect() as connection:
                connection.exec_driver_sql("SELECT nothing")
        return real(*args)

    monkeypatch.setattr(webhooks.sender.rows, "advance", advance)
    hooked(webhooks, receiver)
    with receiver.up():
        work.edit(2)
        wait_until(lambda: len(receiver.received) == 2)
        time.sleep(0.2)
    assert revisions(receiver.lines) == [1, 2]


def test_a_receiver_that_does_not_answer_delays_no_other_and_not_the_end_of_the_process(
    work: Work, make: Make, receiver: Receiver
) -> None:
    webhooks = make(timeout=60)
    with ExitStack() as closing:
        for _ in range(5):
            silent = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
            webhooks.make(f"http://127.0.0.1:{silent.getsockname()[1]}/", ("edit.made",), "anna")
        hooked(webhooks, receiver)
        with receiver.up():
            work.edit(20)
            wait_until(lambda: len(receiver.received) == 20)
        start = time.monotonic()
        webhooks.sender.close()
        assert time.monotonic() - start < 30, "five silent receivers do not add up"
