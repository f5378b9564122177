"""Overload: with more requests than the service can process, each gets an answer in time."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from service.answering.admission import Admission
from service.app import create_app
from service.settings import Settings
from tests.service.serving import network_held, serving, wait_until

AT_ONCE = 2


@dataclass
class Stalled:
    """A service whose network is blocked until `network` is closed."""

    app: FastAPI
    client: httpx.Client
    photo: bytes
    pool: ThreadPoolExecutor
    network: ExitStack

    @property
    def admission(self) -> Admission:
        return self.app.state.admission

    def ask(self) -> Future[httpx.Response]:
        return self.pool.submit(self.client.post, "/segment", content=self.photo)

    def fill(self, waiting: int) -> list[Future[httpx.Response]]:
        """Fill the engine, and put further requests into the queue."""
        asked = [self.ask() for _ in range(AT_ONCE + waiting)]
        wait_until(lambda: (self.admission.running, self.admission.length) == (AT_ONCE, waiting))
        return asked


@pytest.fixture
def stalled(settings: Settings, photo: bytes) -> Iterator[Callable[..., Stalled]]:
    """Makes such a service; the network is released after the test."""
    closing: list[Callable[[], object]] = []

    def make(**changes: object) -> Stalled:
        app = create_app(settings.model_copy(update={"at_once": AT_ONCE} | changes))
        server = serving(app)
        address = server.__enter__()
        closing.append(lambda: server.__exit__(None, None, None))
        limits = httpx.Limits(max_connections=100)
        client, held = httpx.Client(base_url=address, timeout=30, limits=limits), ExitStack()
        closing.append(client.close)
        held.enter_context(network_held(app.state.engine))
        closing.append(held.close)
        return Stalled(app, client, photo, ThreadPoolExecutor(16), held)

    yield make
    for close in reversed(closing):
        close()


def test_a_full_queue_refuses_immediately_and_waiting_requests_are_answered(stalled: Callable[..., Stalled]) -> None:
    service = stalled(queue_pixels=2_000_000)
    asked = service.fill(2)
    refused = service.client.post("/segment", content=service.photo)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert "SEGSORT_QUEUE_PIXELS" in refused.json()["fix"]
    assert service.client.get("/livez").status_code == 200
    assert service.client.get("/classes").status_code == 200
    service.network.close()
    assert [future.result().status_code for future in asked] == [200] * 4
    assert service.client.post("/segment", content=service.photo).status_code == 200


def test_an_invalid_request_does_not_wait_in_the_queue(stalled: Callable[..., Stalled]) -> None:
    service = stalled(queue_pixels=2_000_000)
    asked = service.fill(2)
    assert service.client.post("/segment", content=b"no image").status_code == 415
    assert service.client.post("/segment?k=0", content=service.photo).status_code == 422
    service.network.close()
    assert {future.result().status_code for future in asked} == {200}


def test_a_request_that_waits_past_the_deadline_gets_504(stalled: Callable[..., Stalled]) -> None:
    service = stalled()
    asked = service.fill(0)
    service.admission.deadline = 0.2
    asked += [service.ask() for _ in range(3)]
    wait_until(lambda: service.admission.refused["deadline"] == 3)
    service.network.close()
    statuses = sorted(future.result().status_code for future in asked)
    assert statuses == [200] * AT_ONCE + [504] * 3
    assert len(service.client.get("/segmentations").json()) == AT_ONCE


def test_the_image_of_a_caller_that_disconnects_is_not_processed(stalled: Callable[..., Stalled]) -> None:
    service = stalled()
    asked = service.fill(1)
    url = service.client.base_url
    with socket.create_connection((url.host, url.port), timeout=60) as connection:
        head = f"POST /segment HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(service.photo)}\r\n\r\n"
        connection.sendall(head.encode() + service.photo)
        wait_until(lambda: service.admission.length == 2)
    wait_until(lambda: service.admission.refused["caller_left"] == 1)
    assert service.admission.length == 1
    service.network.close()
    assert {future.result().status_code for future in asked} == {200}
    assert len(service.client.get("/segmentations").json()) == len(asked)


def test_images_that_become_exemplars_wait_in_the_same_queue(stalled: Callable[..., Stalled]) -> None:
    service = stalled(queue_pixels=1_000_000)
    asked = service.fill(1)
    note = '[{"class_name": "brick", "polygons": [[0, 0, 90, 0, 90, 70]]}]'
    sent: dict[str, Any] = {"files": {"image": service.photo}, "data": {"annotations": note}}
    assert service.client.post("/exemplars", **sent).status_code == 429
    service.network.close()
    assert {future.result().status_code for future in asked} == {200}
    assert service.client.post("/exemplars", **sent).status_code == 201


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/segment", "image/png"),
        ("/segment", "multipart/form-data; boundary=x"),
        ("/session", "application/json"),
        ("/exemplars/remove", "application/json"),
        ("/jobs/segment", "application/zip"),
        ("/jobs/segment", "multipart/form-data; boundary=x"),
        ("/releases/survey", "application/zip"),
    ],
)
def test_a_body_that_does_not_arrive_is_refused_in_time(stalled: Callable[..., Stalled], path: str, kind: str) -> None:
    service = stalled(upload_timeout_s=0.3)
    url = service.client.base_url
    with socket.create_connection((url.host, url.port), timeout=60) as connection:
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b"{")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))  # until the service closes it
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"SEGSORT_UPLOAD_TIMEOUT_S" in answer


def test_a_slow_upload_does_not_delay_other_requests(stalled: Callable[..., Stalled]) -> None:
    service = stalled(upload_timeout_s=60)
    service.network.close()
    url = service.client.base_url
    with socket.create_connection((url.host, url.port), timeout=60) as connection:
        head = f"POST /segment HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(service.photo)}\r\n\r\n"
        connection.sendall(head.encode() + service.photo[:10])
        assert service.client.post("/segment", content=service.photo).status_code == 200
        for start in range(10, len(service.photo), 8000):
            connection.sendall(service.photo[start : start + 8000])
            time.sleep(0.01)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_many_callers_that_try_again_are_each_answered_and_see_only_200_or_429(stalled: Callable[..., Stalled]) -> None:
    service = stalled(queue_pixels=3_000_000)
    service.network.close()
    statuses: list[int] = []

    def caller() -> None:
        status = 429
        while status == 429:
            status = service.client.post("/segment", content=service.photo).status_code
            statuses.append(status)

    threads = [threading.Thread(target=caller) for _ in range(15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) == 15
    assert (service.admission.running, service.admission.length) == (0, 0)
