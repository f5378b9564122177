"""Heads, bodies and chunks that are too large, or no HTTP: what is refused, and how."""

import re
import socket
import time
from collections.abc import Callable

import pytest

from tests.robustness.raw_http import CHUNKED, GET, POST, Serve, drip, problem_of, received, status_of
from tests.service.serving import wait_until

LARGE_HEADS = {
    "one header": [GET + b"X: "] + [b"a" * 100_000] * 200,
    "many headers": [GET] + [b"X: " + b"a" * 1000 + b"\r\n"] * 20_000,
    "many small headers": [GET + b"X:\r\n" * 300 + b"\r\n"],
    "a header in one piece": [GET + b"X: " + b"a" * 70_000 + b"\r\n\r\n"],
    "a target": [b"GET /" + b"a" * 100_000] * 100,
    "blank lines": [b"\r\n" * 50_000] * 10,
}


@pytest.mark.parametrize("kind", LARGE_HEADS)
def test_a_large_head_is_refused_while_it_arrives(serve: Serve, kind: str) -> None:
    service = serve()
    one = service.connect()
    try:
        for part in LARGE_HEADS[kind]:
            one.sendall(part)
    except OSError:
        pass
    answer = received(one)
    if kind == "blank lines":
        assert status_of(answer) in (400, 431)
    else:
        assert status_of(answer) == 431, answer[:200]
        assert "65536 bytes" in str(problem_of(answer)["allowed"])
    assert service.alive()


@pytest.mark.parametrize("pieces", [1, 7])
def test_a_head_below_the_limit_is_accepted_with_any_body(serve: Serve, photo: bytes, pieces: int) -> None:
    service = serve()
    sent = POST + b"Connection: close\r\nX: " + b"a" * 60_000 + b"\r\nContent-Length: %d\r\n\r\n" % len(photo) + photo
    one, size = service.connect(), len(sent) // pieces + 1
    for begin in range(0, len(sent), size):
        one.sendall(sent[begin : begin + size])
        time.sleep(0.05)
    assert status_of(received(one)) == 200


def test_requests_sent_together_are_answered_in_order_up_to_a_limit(serve: Serve) -> None:
    service = serve()
    asked = b"".join(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: r%d\r\n\r\n" % i for i in range(3000))
    answers = received(service.connect(asked))
    ids = [int(one) for one in re.findall(rb"x-request-id: r(\d+)", answers)]
    assert ids == list(range(len(ids)))
    assert 16 <= len(ids) < 3000
    assert answers.count(b"connection: close") == 1
    assert answers.rindex(b"connection: close") > answers.rindex(b"HTTP/1.1 200")
    few = service.connect(asked[: asked.index(b"r10\r\n")].rpartition(b"GET")[0])
    wait_until(lambda: few.recv(65536, socket.MSG_PEEK).count(b"HTTP/1.1 200") == 10)


BAD_CHUNKS = {
    "an extension": [b"5;a="] + [b"x" * 100_000] * 50,
    "many extensions": [b"1;" + b"x" * 1000 + b"\r\na\r\n"] * 400,
    "one trailer": [b"5\r\nabcde\r\n0\r\nX: "] + [b"x" * 100_000] * 50,
    "many trailers": [b"5\r\nabcde\r\n0\r\n"] + [b"X: " + b"x" * 1000 + b"\r\n"] * 1000,
}


@pytest.mark.parametrize("kind", BAD_CHUNKS)
def test_chunk_extensions_and_trailers_are_limited(serve: Serve, kind: str) -> None:
    service = serve()
    one = service.connect(CHUNKED)
    try:
        for part in BAD_CHUNKS[kind]:
            one.sendall(part)
    except OSError:
        pass
    assert status_of(received(one)) == 400
    assert service.ended("malformed") == 1
    wait_until(lambda: service.app.state.readiness.in_flight == 0)


def test_small_chunks_are_accepted_and_trailers_change_no_header(serve: Serve, photo: bytes) -> None:
    service = serve()
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (photo[i : i + 3] for i in range(0, len(photo), 3)))
    trailers = b"X-Request-ID: from-trailer\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n"
    one = service.connect(CHUNKED.replace(b"Host", b"Connection: close\r\nHost") + body + b"0\r\n" + trailers + b"\r\n")
    answer = received(one)
    assert status_of(answer) == 200
    assert b"from-trailer" not in answer


def test_a_body_that_is_refused_is_discarded_for_a_limited_time(serve: Serve) -> None:
    service = serve(header_timeout_s=0.5, max_bytes=1000)
    one = service.connect(POST + b"Content-Length: 100000\r\n\r\n")
    assert status_of(one.recv(65536)) == 413
    drip(one)
    assert service.ended("body_after_answer") == 1


def test_a_caller_that_asks_before_it_sends_a_body_is_told_to_or_refused(serve: Serve, photo: bytes) -> None:
    service = serve()
    head = POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    one = service.connect(head % len(photo))
    assert one.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    one.sendall(photo)
    assert status_of(one.recv(65536)) == 200
    answer = received(service.connect(head % 10**9))
    assert status_of(answer) == 413
    assert b"100 Continue" not in answer


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"TLS/1.3"])
def test_a_request_to_change_the_protocol_is_answered_as_http(serve: Serve, photo: bytes, protocol: bytes) -> None:
    service = serve()
    upgrade = (
        b"Upgrade: %b\r\nConnection: Upgrade, close\r\nSec-WebSocket-Key: YWJj\r\nSec-WebSocket-Version: 13\r\n"
        % protocol
    )
    assert status_of(received(service.connect(GET + upgrade + b"\r\n"))) == 200
    length = b"Content-Length: %d\r\n\r\n" % len(photo)
    assert status_of(received(service.connect(POST + upgrade + length + photo))) == 200


def test_the_host_of_an_absolute_target_is_checked_in_place_of_the_header(serve: Serve) -> None:
    service = serve()
    end = b" HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"
    for target, host, status in (
        (b"http://evil.example/classes", b"localhost", 421),
        (b"http://localhost/classes", b"evil.example", 200),
        (b"http://evil.example?a=b", b"localhost", 400),
        (b"evil.example:80", b"localhost", 400),
    ):
        assert status_of(received(service.connect(b"GET " + target + end % host))) == status, target


NO_HTTP = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "zeros": bytes(1000),
    "HTTP 0.9": b"GET /livez\r\n\r\n",
    "a request line of spaces": b"   \r\n\r\n",
    "a proxy's line": b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET /livez HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("kind", NO_HTTP)
def test_what_is_not_http_is_refused_with_one_line_of_the_log(
    serve: Serve, kind: str, warnings: Callable[[], list[str]]
) -> None:
    service = serve()
    for _ in range(20):
        answer = received(service.connect(NO_HTTP[kind]))
        assert status_of(answer) == 400
        assert problem_of(answer)["status"] == 400
    if kind != "HTTP 0.9":
        wait_until(warnings)
        assert service.ended("malformed") == 20
        assert len(warnings()) <= 2
