"""Bodies of requests: their declared size, their real size, and the time that they take."""

import asyncio
import gzip
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.http.body_limit import BodyLimit, too_large
from service.problems import Problem

MAX_BYTES = 10


class Reading:
    """An app that reads a body to its end and keeps the messages that it received."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            self.messages.append(await receive())
            more = self.messages[-1].get("more_body", False)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


def send_request(
    app: Any, parts: Sequence[bytes], declared: bytes | None = None, timeout: float = 30.0, pause: float = 0.0
) -> list[dict[str, Any]]:
    """Send a body in parts through a BodyLimit of `MAX_BYTES`, with a pause in seconds before each; the answer."""
    sent: list[dict[str, Any]] = []
    left = list(parts)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [] if declared is None else [(b"content-length", declared)]
    scope: Any = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(BodyLimit(app, MAX_BYTES, timeout)(scope, receive, send))  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize("declared", [b"11", b"0011", b"99999999999999999999", b"9" * 5000])
def test_a_declared_length_above_the_limit_is_refused_unread(declared: bytes) -> None:
    app = Reading()
    answer = send_request(app, [b"x"], declared)
    assert answer[0]["status"] == 413
    assert b"at most 10 bytes" in answer[1]["body"]
    assert app.messages == []


@pytest.mark.parametrize("declared", [None, b"10", b"0000000000000000000000010", b"", b"-1", b"abc"])
def test_a_body_of_the_limit_reaches_the_app_unchanged(declared: bytes | None) -> None:
    app = Reading()
    assert send_request(app, [b"0123", b"", b"456789"], declared) == []
    assert app.body == b"0123456789"


def test_a_body_that_grows_past_the_limit_ends_with_a_disconnect_after_one_further_part() -> None:
    app = Reading()
    send_request(app, [b"01234567", b"89ab", b"cd", b"ef"])
    assert app.body == b"0123456789ab", "the part that passes the limit lets the route answer with 413"
    assert app.messages[-1] == {"type": "http.disconnect"}


def test_a_body_that_does_not_arrive_in_time_raises_408() -> None:
    with pytest.raises(Problem) as raised:
        send_request(Reading(), [b"012", b"345"], timeout=0.2, pause=0.15)
    assert raised.value.status == 408
    assert raised.value.received == "3 bytes in 0.2 s"
    assert raised.value.headers == {"Connection": "close"}


def test_the_time_limit_ends_with_the_body() -> None:
    """A route waits for a disconnect after the body, which may come much later than the time limit."""
    reached: list[dict[str, Any]] = []

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        reached.append(await receive())
        await asyncio.sleep(0.2)
        reached.append(await receive())

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.disconnect"} if reached else {"type": "http.request", "body": b"x"}

    scope: Any = {"type": "http", "headers": []}
    asyncio.run(BodyLimit(waiting, MAX_BYTES, 0.1)(scope, receive, receive))  # type: ignore[arg-type]
    assert [message["type"] for message in reached] == ["http.request", "http.disconnect"]


def test_other_connections_than_http_pass_unchanged() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    async def unused() -> None: ...

    asyncio.run(BodyLimit(app, MAX_BYTES, 1.0)({"type": "lifespan"}, unused, unused))  # type: ignore[arg-type]
    assert seen == [({"type": "lifespan"}, unused, unused)]


def test_the_problem_names_the_limit_and_the_setting() -> None:
    problem = too_large(10)
    assert (problem.status, problem.allowed) == (413, "at most 10 bytes")
    assert "SEGSORT_MAX_BYTES" in str(problem.fix)


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "GZIP "])
def test_a_compressed_body_is_refused_and_not_read(client: TestClient, photo: bytes, coding: str) -> None:
    for path in ("/segment", "/exemplars", "/classes"):
        refused = client.post(path, content=gzip.compress(photo), headers={"content-encoding": coding})
        assert refused.status_code == 415
        assert refused.headers["accept-encoding"] == "identity"
        assert refused.json()["received"] == f"Content-Encoding: {coding.strip().lower()}"
    assert client.post("/segment", content=photo, headers={"content-encoding": "identity"}).status_code == 200
