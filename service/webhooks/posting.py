"""Sending one message over HTTP: with a deadline for all of it, without following redirects."""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, NamedTuple

from service.webhooks.addresses import Target, Targets, connect

_MOST_READ = 64_000  # bytes of an answer; the connection of a longer one is closed
_LONGEST_PROBLEM = 200  # characters


class Reply(NamedTuple):
    """What became of a message.

    status: of the answer; None: there was none. problem: why it was not delivered; None: it was. retry_after: seconds
    that the receiver asks to wait; None: it did not say.
    """

    status: int | None
    problem: str | None
    retry_after: float | None = None


class Poster:
    """Sends messages to one target, over one connection as long as it lasts. It is used by one thread.

    Args:
        target: where.
        targets: which addresses the settings allow.
        timeout: seconds for a message and its answer together.
    """

    def __init__(self, target: Target, targets: Targets, timeout: float) -> None:
        self._target, self._targets, self._timeout = target, targets, timeout
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a message. Every failure of the network or of the receiver is a reply."""
        deadline = time.monotonic() + self._timeout
        was_open = self._connection is not None
        try:
            try:
                return self._post(body, headers, deadline)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                if not was_open:
                    raise
                self.close()  # the receiver had closed the connection meanwhile
                return self._post(body, headers, deadline)
        except TimeoutError:
            self.close()
            return Reply(None, f"no answer within {self._timeout:g} s")
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            self.close()
            text = str(error) or type(error).__name__
            return Reply(None, f"the connection failed: {text[:_LONGEST_PROBLEM]}")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, body: bytes, headers: Mapping[str, str], deadline: float) -> Reply:
        connection = self._opened(deadline)
        connection.putrequest("POST", self._target.path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": self._target.netloc, "Content-Length": str(len(body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        try:
            answer.read(_MOST_READ)
        except (OSError, http.client.HTTPException):  # the status counts; the rest only lets the connection go on
            self.close()
        if not answer.isclosed() or answer.will_close:
            self.close()
        return _reply(answer)

    def _opened(self, deadline: float) -> http.client.HTTPConnection:
        if self._connection is None:
            raw = connect(self._target, self._targets, deadline)
            try:
                if self._target.scheme == "https":
                    raw.settimeout(max(0.01, deadline - time.monotonic()))
                    raw = _tls().wrap_socket(raw, server_hostname=self._target.host)
            except BaseException:
                raw.close()
                raise
            self._connection = http.client.HTTPConnection(self._target.host, self._target.port)
            self._connection.auto_open = 0  # it would connect to an address that was not checked
            self._socket = _TimedSocket(raw)
            self._connection.sock = self._socket  # all that it calls is there
        self._socket.deadline = deadline
        return self._connection


class _TimedSocket:
    """A socket for `http.client` whose reads and writes end at a deadline, however slowly the other side sends."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.deadline = 0.0

    def sendall(self, data: Any) -> None:
        """Send bytes."""
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """What `http.client` reads an answer from."""
        return io.BufferedReader(_Received(self))

    def receive_into(self, buffer: Any) -> int:
        """Receive bytes into a buffer; 0: the other side has closed the connection."""
        self._socket.settimeout(self._left())
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Received(io.RawIOBase):
    def __init__(self, source: _TimedSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._source.receive_into(buffer)


@cache
def _tls() -> ssl.SSLContext:
    """The certificates of the system; SSL_CERT_FILE names others."""
    return ssl.create_default_context()


def _reply(answer: http.client.HTTPResponse) -> Reply:
    status = answer.status
    if 200 <= status < 300:
        return Reply(status, None)
    problem = f"the receiver answered {status}"
    if 300 <= status < 400:
        problem += ", and redirects are not followed; give the final URL"
    return Reply(status, problem, _seconds(answer.headers.get("Retry-After")))


def _seconds(retry_after: str | None) -> float | None:
    """The header Retry-After in seconds; None if it is missing or malformed."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
        return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
