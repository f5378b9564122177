"""Bodies of requests: their declared size, their real size, and the time that they take."""

import asyncio
import gzip
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import Headers

from service.http.body_limit import LimitedBody, check_declared, too_large
from service.problems import Problem

MAX_BYTES = 10
LONGEST = 3600.0  # seconds


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time: its clock jumps to what is due next."""

    _now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        due = [one.when() for one in self._scheduled if not one.cancelled()]  # type: ignore[attr-defined]
        if due and not self._ready:  # type: ignore[attr-defined]
            self._now = max(self._now, min(due))
        super()._run_once()  # type: ignore[misc]


def read(parts: Sequence[bytes], timeout: float = 30.0, complete: bool = True) -> list[dict[str, Any]]:
    """The messages of a body in parts, through a limit of `MAX_BYTES`. After an incomplete body, none arrives."""
    left = list(parts)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or not complete}

    async def everything() -> list[dict[str, Any]]:
        limited = LimitedBody(receive, MAX_BYTES, timeout, LONGEST)  # type: ignore[arg-type]
        messages = [dict(await limited())]
        while messages[-1].get("more_body", False):
            messages.append(dict(await limited()))
        return messages

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(everything())


def declared(length: str) -> Headers:
    return Headers({"content-length": length})


@pytest.mark.parametrize("length", ["11", "0011", "99999999999999999999", "9" * 5000])
def test_a_declared_length_above_the_limit_is_refused(length: str) -> None:
    with pytest.raises(Problem, match="at most 10 bytes") as raised:
        check_declared(declared(length), MAX_BYTES)
    assert raised.value.status == 413


@pytest.mark.parametrize("length", ["10", "0000000000000000000000010", "", "-1", "abc"])
def test_a_declared_length_of_the_limit_or_none_is_accepted(length: str) -> None:
    check_declared(declared(length), MAX_BYTES)


def test_a_body_of_the_limit_arrives_unchanged() -> None:
    assert b"".join(one["body"] for one in read([b"0123", b"", b"456789"])) == b"0123456789"


def test_a_body_that_grows_past_the_limit_ends_with_a_disconnect_after_one_further_part() -> None:
    messages = read([b"01234567", b"89ab", b"cd", b"ef"])
    assert b"".join(one.get("body", b"") for one in messages) == b"0123456789ab", "the route can answer with 413"
    assert messages[-1] == {"type": "http.disconnect"}


def test_a_body_that_does_not_arrive_in_time_raises_408() -> None:
    with pytest.raises(Problem) as raised:
        read([b"012"], timeout=0.2, complete=False)
    assert raised.value.status == 408
    assert raised.value.received == "3 bytes in 0.2 s"
    assert raised.value.headers == {"Connection": "close"}


def received(parts: int, size: int, sender_s: float, route_s: float = 0.0) -> int:
    """Bytes that arrive of a body in parts of one size: the sender, and then the route, takes so long for each.

    The sender may take 20 s, and again for each megabyte, and the whole body an hour.
    """
    left = parts

    async def receive() -> dict[str, Any]:
        nonlocal left
        await asyncio.sleep(sender_s)
        left -= 1
        return {"type": "http.request", "body": bytes(size), "more_body": left > 0}

    async def everything() -> int:
        limited, total, more = LimitedBody(receive, 10**9, 20, LONGEST), 0, True
        while more:
            message = await limited()
            total, more = total + len(message["body"]), message["more_body"]
            await asyncio.sleep(route_s)
        return total

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(everything())


def test_a_body_in_parts_that_trickles_is_refused_long_before_its_longest_time() -> None:
    with pytest.raises(Problem) as raised:
        received(parts=3600, size=1, sender_s=0.9)
    assert (raised.value.status, raised.value.received) == (408, "22 bytes in 20 s")
    assert raised.value.allowed == "20 s, and as long again for each megabyte; 3600 s at most"
    assert "SEGSORT_UPLOAD_TIMEOUT_S" in str(raised.value.fix)
    with pytest.raises(Problem, match="arrive in time") as raised:
        received(parts=100, size=400_000, sender_s=9)  # 44 kB/s
    assert raised.value.received == "4400000 bytes in 108 s"


def test_a_body_in_parts_may_take_long_if_much_arrives() -> None:
    assert received(parts=100, size=1_000_000, sender_s=19.9) == 100_000_000
    with pytest.raises(Problem, match="arrive in time") as raised:
        received(parts=1000, size=1_000_000, sender_s=10)
    assert raised.value.received == "359000000 bytes in 3.6e+03 s"


def test_the_time_that_a_route_takes_between_parts_is_not_the_senders() -> None:
    assert received(parts=50, size=1, sender_s=0.1, route_s=30) == 50


def test_the_time_limit_ends_with_the_body() -> None:
    """A route waits for a disconnect after the body, which may come much later than the time limit."""
    messages = [{"type": "http.request", "body": b"x"}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def both() -> list[str]:
        limited = LimitedBody(receive, MAX_BYTES, 0.1, LONGEST)  # type: ignore[arg-type]
        first = await limited()
        await asyncio.sleep(0.2)
        return [first["type"], (await limited())["type"]]

    assert asyncio.run(both()) == ["http.request", "http.disconnect"]


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
