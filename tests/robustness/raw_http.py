"""Raw connections to a service in this process, which a test may leave open."""

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import pytest
from fastapi import FastAPI

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /segment HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
Serve = Callable[..., "Service"]


class Service:
    """A service in this process, and raw connections to it that the test may leave open."""

    def __init__(self, app: FastAPI, address: str, stack: ExitStack) -> None:
        self.app, self.url, self._stack = app, address, stack
        self.port = int(address.rpartition(":")[2])

    def connect(self, sent: bytes = b"", receive_buffer: int | None = None) -> socket.socket:
        one = self._stack.enter_context(socket.socket())
        if receive_buffer is not None:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        one.settimeout(30)
        one.connect(("127.0.0.1", self.port))
        one.sendall(sent)
        return one

    def ended(self, reason: str) -> int:
        return int(self.app.state.connections.ended[reason])

    def end_all(self, callers: list[threading.Thread]) -> None:
        """Close all connections until the callers have ended."""
        while any(caller.is_alive() for caller in callers):
            for one in list(self.app.state.connections._open):
                one.loop.call_soon_threadsafe(one.abort)
            time.sleep(0.05)

    def alive(self) -> bool:
        return httpx.get(f"{self.url}/livez", timeout=60).status_code == 200


def received(one: socket.socket) -> bytes:
    """Everything until the service closes the connection."""
    found = b""
    try:
        while part := one.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def problem_of(answer: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def is_closed(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(65536) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def drip(one: socket.socket) -> None:
    """Send a byte now and then until the service closes the connection."""
    end = time.monotonic() + 40
    while time.monotonic() < end:
        try:
            one.sendall(b"a")
        except OSError:
            return
        time.sleep(0.05)
    pytest.fail("the connection is still open")
