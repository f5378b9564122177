"""Refusals are delayed for an address that collects many. Good answers are not, and nothing is held meanwhile."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.app import create_app
from service.http.callers import refusals as module
from service.http.callers.rate import Rate
from service.http.callers.refusals import MOST, Refusals
from service.settings import Settings
from tests.service.serving import serving, wait_until

PER_MINUTE = 30  # ten at once


class Running(NamedTuple):
    app: FastAPI
    client: httpx.Client
    address: tuple[str, int]

    @property
    def refusals(self) -> Refusals:
        found: Refusals = self.app.state.refusals
        return found


@pytest.fixture
def running(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Running]]:
    """Starts services. Between two refusals no time passes, so that a slow machine collects as many as a quick one."""
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    with ExitStack() as closing:

        def make(**changes: object) -> Running:
            app = create_app(settings.model_copy(update={"refusals_per_minute": PER_MINUTE} | changes))
            address = closing.enter_context(serving(app))
            client = closing.enter_context(httpx.Client(base_url=address, timeout=30))
            return Running(app, client, (client.base_url.host, client.base_url.port or 0))

        yield make


def timed(ask: Callable[[], httpx.Response]) -> tuple[int, float]:
    began = time.monotonic()
    return ask().status_code, time.monotonic() - began


def test_further_refusals_are_delayed_and_good_answers_to_the_same_address_are_not(
    running: Callable[..., Running],
) -> None:
    service = running()
    for _ in range(PER_MINUTE // 3):
        assert service.client.get("/segmentations/none").status_code == 404
    assert service.refusals.delayed == 0
    status, seconds = timed(lambda: service.client.get("/segmentations/none"))
    assert status == 404
    assert seconds >= 1.0, "the eleventh is early by two seconds"
    assert service.refusals.delayed == 1
    for _ in range(20):
        assert service.client.get("/classes").status_code == 200
    assert (service.refusals.delayed, service.refusals.holding) == (1, 0)
    text = service.client.get("/metrics").text
    assert "segsort_refusals_delayed_total 1.0" in text


def test_a_large_body_counts_as_many_refusals(running: Callable[..., Running]) -> None:
    service = running()
    body = b"no image " * 1_000_000
    assert service.client.post("/segment", content=body).status_code == 415
    assert service.refusals.delayed == 0
    status, seconds = timed(lambda: service.client.post("/segment", content=body))
    assert status == 415
    assert seconds >= 2.0
    assert service.app.state.budgets.bodies.in_memory == 0


def test_a_body_that_is_sent_in_chunks_counts_by_what_arrived(running: Callable[..., Running]) -> None:
    service = running()
    for _ in range(2):
        assert service.client.post("/segment", content=(b"no image " * 100_000 for _ in range(7))).status_code == 415
    assert service.refusals.delayed == 1


def test_the_body_and_the_turn_of_a_delayed_refusal_are_free(
    running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_S", 20.0)
    service = running(refusals_per_minute=3)
    service.client.get("/nothing")
    with socket.create_connection(service.address, timeout=30) as connection:
        body = b"x" * 5_000_000
        connection.sendall(b"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
        connection.sendall(body)
        wait_until(lambda: service.refusals.holding == 1)
        budgets = service.app.state.budgets
        assert (budgets.bodies.in_memory, budgets.lanes["engine"].running) == (0, 0)
        assert service.app.state.readiness.in_flight == 0
        service.app.state.engine.served  # noqa: B018  # the app still answers
        assert service.client.get("/classes").status_code == 200
        service.refusals.release()  # as the shutdown does
        assert connection.recv(100).startswith(b"HTTP/1.1 415")


def test_a_head_that_is_refused_is_delayed_too_and_names_its_request(running: Callable[..., Running]) -> None:
    service = running(refusals_per_minute=3)

    def ask() -> bytes:
        with socket.create_connection(service.address, timeout=30) as connection:
            connection.sendall(b"this is not HTTP\r\n\r\n")
            return b"".join(iter(lambda: connection.recv(4096), b""))

    answers, began = [ask()], time.monotonic()
    answers.append(ask())
    assert time.monotonic() - began >= 1.0
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 400")
        (name,) = (line[14:] for line in answer.split(b"\r\n") if line.startswith(b"x-request-id: "))
        assert b'"request_id":"%b"' % name in answer
    assert service.refusals.delayed == 1


def test_a_setting_of_zero_delays_none(start: Callable[..., TestClient]) -> None:
    with start(refusals_per_minute=0) as client:
        for _ in range(300):
            assert client.get("/nothing").status_code == 404
        assert client.app.state.refusals.delayed == 0  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_no_more_refusals_are_delayed_at_once_than_connections_can_be_spared() -> None:
    refusals = Refusals(3)
    refusals._holding = MOST
    assert [refusals.delay("10.0.0.1") for _ in range(5)] == [0.0] * 5
    refusals._holding = 0
    assert refusals.delay("10.0.0.1") > 0
    assert refusals.delay("10.0.0.2") == 0.0, "another address"


def test_what_is_owed_beyond_the_longest_delay_is_forgotten() -> None:
    rate = Rate(10, 10.0)
    assert [rate.owe(100.0, 1, 3.0) for _ in range(15)] == [0.0] * 10 + [1.0, 2.0, 3.0, 3.0, 3.0]
    assert rate.owe(104.0, 1, 3.0) == 0.0
