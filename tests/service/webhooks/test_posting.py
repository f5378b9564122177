"""Sending one message, to receivers of all sorts."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from benchmarks.running_service import free_port
from service.webhooks.addresses import Target
from service.webhooks.posting import Poster

Serve = Callable[..., Target]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that handles connections by functions, one after another; the last one handles all others."""
    with ExitStack() as closing:

        def start(*handlers: Callable[[socket.socket], None]) -> Target:
            server = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
            thread = threading.Thread(target=_handle, args=(server, list(handlers)), daemon=True)
            thread.start()
            return Target("http", "127.0.0.1", server.getsockname()[1], "/hook")

        yield start


def _handle(server: socket.socket, handlers: list[Callable[[socket.socket], None]]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        handler = handlers.pop(0) if len(handlers) > 1 else handlers[0]
        threading.Thread(target=_one, args=(handler, connection), daemon=True).start()


def _one(handler: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection, suppress(OSError):
        handler(connection)


def request(connection: socket.socket) -> bytes:
    """Receive a request, whose body is an object of JSON."""
    received = b""
    while not received.endswith(b"}"):
        received += (part := connection.recv(65536))
        if not part:
            raise ConnectionError("the sender has closed the connection")
    return received


def answering(*answers: bytes) -> Callable[[socket.socket], None]:
    """Answers each request of a connection, then closes it."""

    def handler(connection: socket.socket) -> None:
        for answer in answers:
            request(connection)
            connection.sendall(answer)

    return handler


def status(line: str, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {line}", "Content-Length: 0", *headers, "", "")).encode()


def post(target: Target, timeout: float = 60.0) -> tuple[int | None, str | None, float | None]:
    poster = Poster(target, "any", timeout)
    try:
        return poster.post(b'{"a": 1}', {"webhook-id": "x"})
    finally:
        poster.close()


def test_what_is_sent(serve: Serve) -> None:
    sent: list[bytes] = []

    def handler(connection: socket.socket) -> None:
        sent.append(request(connection))
        connection.sendall(OK)

    target = serve(handler)
    assert post(target) == (200, None, None)
    head, _, body = sent[0].partition(b"\r\n\r\n")
    assert head.decode().split("\r\n") == [
        "POST /hook HTTP/1.1", f"Host: 127.0.0.1:{target.port}", "Content-Length: 8", "webhook-id: x",
    ]  # fmt: skip
    assert body == b'{"a": 1}'


@pytest.mark.parametrize("line", ["200 OK", "201 Created", "204 No Content", "299 Odd"])
def test_every_status_of_success_is_delivered(serve: Serve, line: str) -> None:
    assert post(serve(answering(status(line)))) == (int(line[:3]), None, None)


@pytest.mark.parametrize("line", ["300 A", "301 A", "302 A", "307 A", "308 A"])
def test_a_redirect_is_not_followed(serve: Serve, line: str) -> None:
    followed = threading.Event()
    other = serve(lambda connection: followed.set())
    answer = status(line, f"Location: http://127.0.0.1:{other.port}/")
    code, problem, _ = post(serve(answering(answer)))
    assert (code, "redirects are not followed" in str(problem)) == (int(line[:3]), True)
    assert not followed.wait(0.2)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120.0), ("0", 0.0), ("-1", None), ("soon", None), ("1.5", None), ("9" * 50, 999_999_999.0), ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("\u0662", None),
    ],
)  # fmt: skip
def test_retry_after_is_read(serve: Serve, header: str, expected: float | None) -> None:
    answer = status("503 Busy", f"Retry-After: {header}").decode().encode("utf-8")
    assert post(serve(answering(answer)))[2] == expected


def test_a_connection_is_used_again_and_made_anew_when_the_receiver_closes_it(serve: Serve) -> None:
    connections: list[str] = []

    def first(connection: socket.socket) -> None:
        connections.append("first")
        answering(OK, OK)(connection)

    def second(connection: socket.socket) -> None:
        connections.append("second")
        answering(OK)(connection)

    poster = Poster(serve(first, second), "any", 60)
    assert [poster.post(b"{}", {}).problem for _ in range(3)] == [None] * 3
    assert connections == ["first", "second"]
    poster.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a" * 100_000,
        b"\0" * 1000,
    ],
    ids=["closes", "words", "odd status", "many headers", "long header", "NULs"],
)
def test_a_broken_answer_is_a_failure_in_words(serve: Serve, answer: bytes) -> None:
    code, problem, _ = post(serve(answering(answer)))
    assert (code, "the connection failed" in str(problem)) == (None, True)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["cut", "odd chunks"],
)
def test_the_status_counts_where_the_rest_of_an_answer_is_broken(serve: Serve, answer: bytes) -> None:
    poster = Poster(serve(answering(answer)), "any", 60)
    assert [poster.post(b"{}", {}) for _ in range(2)] == [(200, None, None)] * 2
    poster.close()


def test_a_long_answer_is_not_read_to_its_end(serve: Serve) -> None:
    sent = [0]

    def handler(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            sent[0] += connection.send(bytes(65536))

    assert post(serve(handler)) == (200, None, None)
    assert sent[0] < 50_000_000


@pytest.mark.parametrize("part", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b""], ids=["bytes", "interim", "nothing"])
def test_a_receiver_that_answers_slowly_is_given_up_at_the_deadline(serve: Serve, part: bytes) -> None:
    def handler(connection: socket.socket) -> None:
        request(connection)
        while True:
            connection.sendall(part)
            time.sleep(0.05)

    start = time.monotonic()
    assert post(serve(handler), 0.4) == (None, "no answer within 0.4 s", None)
    assert time.monotonic() - start < 30


def test_a_name_that_does_not_exist_and_a_closed_port_are_failures_in_words() -> None:
    for host, port in (("no-such-host.invalid", 80), ("127.0.0.1", free_port())):
        assert "the connection failed" in str(post(Target("http", host, port, "/"))[1])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_certificate_that_nobody_signed_is_refused(serve: Serve, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate), "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    received: list[bytes] = []

    def handler(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            received.append(request(secure))
            secure.sendall(OK)

    target = serve(handler)._replace(scheme="https")
    assert "CERTIFICATE_VERIFY_FAILED" in str(post(target)[1])
    assert received == []
    script = (
        "from service.webhooks.addresses import Target; from service.webhooks.posting import Poster;"
        f"print(Poster(Target('https', '127.0.0.1', {target.port}, '/hook'), 'any', 60).post(b'{{}}', {{}}))"
    )
    environment = {**os.environ, "SSL_CERT_FILE": str(certificate)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=200)
    assert done.stdout.startswith("Reply(status=200,"), done.stdout
