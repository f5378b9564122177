"""Readiness: each part that can fail gives one reason, which disappears when the part works again."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from service.answering.admission import Admission
from service.answering.engine import Engine
from service.http.readiness import Readiness


class Parts:
    """The engine and the queue of a running service, and a Readiness over them."""

    def __init__(self, client: TestClient) -> None:
        self.engine: Engine = client.app.state.engine  # type: ignore[attr-defined]
        self.admission: Admission = client.app.state.admission  # type: ignore[attr-defined]
        self.readiness = Readiness(self.engine, self.admission)

    def reason(self) -> str:
        """The only reason; empty if the service is ready."""
        reasons = self.readiness.reasons()
        assert len(reasons) <= 1
        return "".join(reasons)


@pytest.fixture
def parts(client: TestClient) -> Parts:
    return Parts(client)


def test_a_service_without_a_fault_is_ready_until_it_shuts_down(parts: Parts) -> None:
    assert parts.reason() == ""
    parts.readiness.draining = True
    assert parts.reason() == "the service is shutting down"


def test_a_database_that_does_not_answer_is_a_reason(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise OperationalError("SELECT 1", {}, Exception("no such host " + "x" * 500))

    with monkeypatch.context() as patch:
        patch.setattr(parts.engine.records, "ping", fails)
        assert "database" in parts.reason()
        assert "no such host" in parts.reason()
        assert len(parts.reason()) < 300, "a long reason is shortened"
    assert parts.reason() == ""


def test_a_failed_write_is_a_reason_until_a_write_succeeds(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OperationalError("INSERT", {}, Exception("database is full"))

    records = parts.engine.records
    assert records.trouble is None
    with monkeypatch.context() as patch:
        patch.setattr(records, "try_to_write", full)
        assert parts.reason() == "", "without a failed write, no write is tried"
        records.trouble = "database is full"
        assert "database is full" in parts.reason()
    assert parts.reason() == ""
    assert records.trouble is None


def test_a_log_of_edits_that_cannot_be_read_is_a_reason(parts: Parts) -> None:
    parts.engine.follower.stop()  # its thread would read the log and remove the trouble
    parts.engine.follower.trouble = "no such table"
    assert "no such table" in parts.reason()


def test_an_image_past_the_deadline_is_a_reason_and_no_probe_is_sent_after_it(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes: list[int] = []
    monkeypatch.setattr(parts.admission, "longest", lambda: parts.admission.deadline + 5)
    monkeypatch.setattr(parts.engine.health, "probe", lambda: probes.append(1) or [])
    parts.engine.health.failure = "embed: out of memory"
    assert "in the engine for" in parts.reason()
    assert probes == []


def test_a_failed_answer_is_a_reason_if_the_probe_fails_too(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[list[str]] = [["sort: out of memory"], []]
    monkeypatch.setattr(parts.engine.health, "probe", lambda: results.pop(0))
    assert parts.reason() == ""
    assert len(results) == 2, "without a failed answer no probe is sent"
    parts.engine.health.failure = "sort: out of memory"
    assert "sort: out of memory" in parts.reason()
    assert parts.reason() == ""


def test_a_real_probe_ends_the_fault_of_an_earlier_answer(parts: Parts) -> None:
    parts.engine.health.failure = "embed: out of memory"
    assert parts.reason() == ""
    assert parts.engine.health.failure is None
