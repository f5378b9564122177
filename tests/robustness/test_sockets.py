"""Incomplete and malformed requests over a socket: the service answers or closes, and serves the next request."""

import logging
import socket
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from service.app import create_app
from service.settings import Settings
from tests.robustness.outcomes import assert_consistent
from tests.service.serving import serving, wait_until

HEAD = b"POST /segment HTTP/1.1\r\nHost: localhost\r\n"
FORM = b"POST /exemplars HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
CLASSES = b"POST /classes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nabc'
CLOSE = b"Connection: close\r\n"

# Sent before the caller closes the connection.
BROKEN_OFF = {
    "nothing": b"",
    "half a line": b"POST /seg",
    "half a head": HEAD + b"Content-Le",
    "a head alone": HEAD + b"Content-Length: 1000\r\n\r\n",
    "half a body": HEAD + b"Content-Length: 1000\r\n\r\n" + bytes(500),
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n20\r\nabc",
    "no last chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "half a form": FORM + b"Content-Length: 1000\r\n\r\n" + PART,
    "half a form, chunked": FORM + b"Transfer-Encoding: chunked\r\n\r\n5\r\n--b\r\n\r\n",
    "half of JSON": CLASSES + b'Content-Length: 100\r\n\r\n{"name": "ke',
    "half of JSON, chunked": CLASSES + b'Transfer-Encoding: chunked\r\n\r\n8\r\n{"name":\r\n',
}
# Requests that get an answer or a closed connection.
STRANGE = {
    "a chunk of no length": HEAD + CLOSE + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
    "a chunk of a huge length": HEAD
    + CLOSE
    + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "both lengths": HEAD + CLOSE + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + CLOSE + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a length below zero": HEAD + CLOSE + b"Content-Length: -3\r\n\r\n",
    "a length of 5000 digits": HEAD + CLOSE + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a length past the limit": HEAD + CLOSE + b"Content-Length: 99999999999\r\n\r\n",
    "no length": HEAD + CLOSE + b"\r\n",
    "a form that ends early": FORM + CLOSE + b"Content-Length: %d\r\n\r\n" % len(PART) + PART,
    "a form without a boundary": FORM.replace(b"; boundary=b", b"") + CLOSE + b"Content-Length: 3\r\n\r\nabc",
    "bytes in the path": b"GET /explain/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n",
    "bytes in the query": b"GET /nothing?\xff\xfe HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n",
    "NUL in the path": b"GET /a\0b HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n",
    "an address in the path": b"GET http://elsewhere/edits HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n",
    "a tunnel": b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n" + CLOSE + b"\r\n",
    "no host": b"GET /livez HTTP/1.1\r\n" + CLOSE + b"\r\n",
    "two hosts": b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n" + CLOSE + b"\r\n",
    "a host that is none": b"GET /nothing HTTP/1.1\r\nHost: [\r\n" + CLOSE + b"\r\n",
    "HTTP 1.0": b"GET /livez HTTP/1.0\r\n\r\n",
    "HTTP 9.9": b"GET /livez HTTP/9.9\r\nHost: localhost\r\n" + CLOSE + b"\r\n",
    "HTTP 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"FETCH /livez HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "a head of 200 kB": b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n",
    "an upgrade": b"GET /livez HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"
    b"Sec-WebSocket-Key: YWJj\r\nSec-WebSocket-Version: 13\r\n\r\n",
}


@pytest.fixture(scope="module")
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture(scope="module")
def port(app: FastAPI) -> Iterator[int]:
    with serving(app) as address:
        yield int(address.rpartition(":")[2])


@pytest.fixture(autouse=True)
def _check_service_afterwards(app: FastAPI, port: int, photo: bytes) -> Iterator[None]:
    yield
    httpx.post(f"http://127.0.0.1:{port}/segment", content=photo, timeout=60).raise_for_status()
    assert_consistent(app.state.engine)


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """Records of level ERROR, with those of uvicorn, whose logger does not propagate."""
    server = logging.getLogger("uvicorn.error")
    server.addHandler(caplog.handler)
    caplog.set_level(logging.ERROR)
    yield caplog.records
    server.removeHandler(caplog.handler)


def exchange(port: int, sent: bytes, answered: bool) -> bytes:
    """Send bytes; then close the connection, or read until the service closes it."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(sent)
        if not answered:
            return b""
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:  # the service closed before it had read everything
            return received
        return received


def alive(port: int) -> bool:
    return b'"ok"' in exchange(port, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", True)


@pytest.mark.parametrize("name", BROKEN_OFF)
def test_a_caller_that_disconnects_causes_no_error(name: str, port: int, errors: list[logging.LogRecord]) -> None:
    exchange(port, BROKEN_OFF[name], answered=False)
    wait_until(lambda: alive(port))
    assert [record.getMessage() for record in errors] == []


@pytest.mark.parametrize("name", STRANGE)
def test_a_malformed_request_is_answered_or_refused(name: str, port: int) -> None:
    answer = exchange(port, STRANGE[name], answered=True)
    status = answer.split(b" ", 2)[1][:3] if answer else b""
    assert not status.startswith(b"5"), answer[:500]
    assert alive(port)
