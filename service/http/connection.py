"""One connection: uvicorn's protocol of HTTP/1.1, with limits on the size and the time of everything that it receives.

The parser is httptools (the one of Node.js in C). h11 takes two to three times as long for the head of a request.
"""

import asyncio
import re
import time
import uuid
from collections import deque
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.http.addresses import subscriber
from service.http.connections import Connections
from service.http.early_problems import (
    MAX_HEAD,
    MAX_HEADERS,
    head_too_large,
    head_too_late,
    malformed,
    no_upgrade,
    too_many_connections,
)
from service.http.probes import PROBE_PATHS
from service.logs import request_id
from service.problems import PROBLEM_TYPE, Problem, problem_body

_MAX_PIPELINE = 16  # requests that wait for the answer to an earlier one of the same connection
_OVERHEAD = 8  # largest ratio of a chunked body with its framing to the body, for bodies of small chunks
_LINGER_S = 2.0  # after a refusal the rest of the request is discarded, so that the caller can read the refusal
_PROGRESS = 65_536  # bytes that a caller has to read in `stall_s`
_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
_PROBES = frozenset(path.encode() for path in PROBE_PATHS)


class Connection(HttpToolsProtocol):
    """A connection of which every state has a limit.

    | state | limit |
    |---|---|
    | no request yet, or a head that is not complete | `header_s` and `MAX_HEAD`; then 408 or 431 |
    | idle after an answer | `idle_s` |
    | a body that arrives | `service.http.body_limit`; here only the framing of chunks and trailers |
    | an answer that the caller does not read | `stall_s` |
    | requests sent before the answer to an earlier one | 16; the connection closes after them |

    WebSockets and HTTP/2 do not exist here: a request with `Upgrade` is answered as if it had none. Java's client sends
    one with each request.

    Args:
        connections: all connections of the process.
        root_path: path below which a proxy publishes the service.
        config: of uvicorn.
        server_state: of uvicorn.
        app_state: of uvicorn.
        _loop: the event loop; uvicorn gives its name.
    """

    def __init__(
        self,
        connections: Connections,
        root_path: str,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all, self._root = connections, root_path.encode()
        self.timeout_keep_alive = cast("int", connections.limits.idle_s)
        self.source, self.since, self.provisional = "", time.monotonic(), False
        self._asked = False  # a request has arrived
        self._in_head = self._in_body = False  # of the request that arrives now
        self._ended = False  # what still arrives is discarded
        self._unanswered: deque[RequestResponseCycle] = deque()  # requests without a complete answer
        self._messages = 0  # requests that began
        self._head_bytes = self._head_size = 0  # received of a head that is not complete; of its complete headers
        self._chunked, self._body_bytes, self._framing, self._gap = False, 0, 0, 0
        self._slow: float | None = None  # since when the caller reads less than it should
        self._mark = 0  # bytes that were unread then
        self._later: asyncio.TimerHandle | None = None  # a delayed refusal, or when this connection is read again

    # What `Connections` asks

    @property
    def answering(self) -> bool:
        """Whether a request has no complete answer. The last one is answered last."""
        return self.cycle is not None and not (self.cycle.response_complete or self.cycle.disconnected)

    @property
    def idle(self) -> bool:
        """Whether no request is being answered or received."""
        return not self.answering and self._slow is None and (self._ended or not self._in_body)

    @property
    def slow(self) -> float | None:
        """Since when the caller sends a body or reads an answer; None: it does neither."""
        return self._slow if self._slow is not None else self.since if self._in_body else None

    @property
    def unread(self) -> int:
        """Bytes of answers that wait for the caller."""
        return self.transport.get_write_buffer_size()

    def overdue(self, now: float) -> str | None:
        """The reason to end the connection at this time; "": one that is not counted; None: there is none."""
        if self._stalls(now):
            return "stall_timeout"
        if self.answering or self._slow is not None:
            return None
        waited = now - self.since
        if self._ended:
            return "" if waited > _LINGER_S else None
        if (self._in_head or not self._asked) and waited > self._all.limits.header_s:
            return "header_timeout"
        return "body_after_answer" if self._in_body and waited > self._all.limits.header_s else None

    def give_up(self, reason: str) -> None:
        """Answer a head that is not complete with 408, and close in a moment; close others at once."""
        if reason == "header_timeout" and self._in_head and not self._ended:
            self._refuse(head_too_late(self._all.limits.header_s))
        else:
            self.abort()

    def abort(self) -> None:
        """Close without further answers."""
        self._ended = True
        self._leave()
        self.transport.abort()

    def _stalls(self, now: float) -> bool:
        """Whether the caller has read too little of what is written for too long."""
        unread = self.unread
        if not unread:
            self._slow = None
        elif self._slow is None or unread <= self._mark - _PROGRESS:
            self._slow, self._mark = now, unread
        return self._slow is not None and now - self._slow > self._all.limits.stall_s

    # What the transport calls

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        super().connection_made(transport)
        self.source = subscriber(self.client[0]) if self.client is not None else "a local socket"
        self.since = time.monotonic()
        self._all.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End. uvicorn keeps its timer, and with it this object, if there is an error."""
        self._all.closed(self)
        self._unset_keepalive_if_required()
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        """Let the app know that the caller of every request is gone. uvicorn lets it know for the last request only."""
        if self._later is not None:
            self._later.cancel()
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        self._unanswered.clear()
        self.pipeline.clear()
        self.flow.resume_writing()

    def pause_writing(self) -> None:
        """Stop writing: the caller has not read enough."""
        super().pause_writing()
        self._slow, self._mark = time.monotonic(), self.unread
        self._all.stalled(self)

    def resume_writing(self) -> None:
        """Go on: the caller has read enough."""
        super().resume_writing()
        self._slow = None
        self._all.flows(self)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, unless it is too much."""
        if self._ended or (self._in_body and not self.answering):
            self._discard(len(data))
        if self._ended:
            return
        self._unset_keepalive_if_required()
        begins = not (self._in_head or self._in_body)
        if begins:
            self._in_head, self._head_bytes, self.since = True, 0, time.monotonic()
            if b"pgrade" in data[:MAX_HEAD]:
                data = _without_upgrade(data)
        if self._in_head and self._head_bytes + len(data) > MAX_HEAD and not self._head_ends(data):
            self._refuse_head()
            return
        in_head, in_chunks = self._in_head, self._in_body and self._chunked
        messages, body = self._messages + begins, self._body_bytes
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._stop()  # what follows the request is no HTTP
        except httptools.HttpParserError:
            self._refuse_malformed()
        if in_head and self._in_head and self._messages <= messages:  # the same head is still not complete
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._refuse_head()
        elif in_chunks and self._messages == messages:
            self._check_framing(len(data), self._body_bytes - body)

    def _head_ends(self, data: bytes) -> bool:
        """Whether the head ends in this part within the limit."""
        return 0 <= data.find(b"\r\n\r\n") <= MAX_HEAD - self._head_bytes

    def _check_framing(self, received: int, body: int) -> None:
        """Refuse chunk extensions and trailers without end. received and body: bytes of one part."""
        self._gap = 0 if body else self._gap + received
        self._framing += received - body
        if self._gap > MAX_HEAD or self._framing > MAX_HEAD + _OVERHEAD * self._body_bytes:
            self._refuse_malformed()

    def _discard(self, size: int) -> None:
        """Read no more for a while, if more of refused requests arrives than is read in this time."""
        seconds = self._all.discarding.pause(size)
        if seconds:
            self.flow.pause_reading()
            self._later = self.loop.call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._messages += 1
        self._in_head, self._in_body = True, False
        self._head_bytes = self._head_size = self._body_bytes = self._framing = self._gap = 0
        self._chunked = False

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        super().on_url(url)
        self._head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers are left out: no route reads them, and they must not change checked headers."""
        if self._in_head:
            self._head_size += len(name) + len(value)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer a request, unless its head is refused."""
        self._in_head, self._in_body, self._asked = False, True, True
        if self._ended:
            return
        self._chunked = any(name == b"transfer-encoding" for name, _ in self.headers)
        if self._head_size > MAX_HEAD or len(self.headers) > MAX_HEADERS:
            self._refuse_head()
            return
        if len(self.pipeline) >= _MAX_PIPELINE:
            self._all.count("pipelined", self.source)
            self._stop()
            return
        if self.parser.should_upgrade() and self._has_body():
            self._refuse(no_upgrade())
            return
        self._use_absolute_target()
        if self.provisional and not self._is_probe():
            self._all.count("refused", self.source)
            self._refuse(too_many_connections())
            return
        self.since = time.monotonic()
        super().on_headers_complete()
        self._unanswered.append(self.cycle)
        if self.provisional or self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if not self._ended:
            self._body_bytes += len(body)
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_body = False
        if not self._ended:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of one that is answered already."""
        self.since = time.monotonic()
        if self._unanswered:
            self._unanswered.popleft()
        super().on_response_complete()
        if self._in_body and self.expect_100_continue and not self.pipeline:
            self.transport.close()  # the caller may send the body or the next request

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, with a problem in place of text."""
        self._refuse_malformed()

    def _should_upgrade_to_ws(self) -> bool:
        return False

    def _use_absolute_target(self) -> None:
        """Take the host of a target such as http://host/path in place of the header (RFC 9112, section 3.2.2)."""
        if self.url[:1] in (b"/", b"*"):
            return
        _, separator, rest = self.url.partition(b"://")
        host = rest.partition(b"/")[0].partition(b"?")[0]
        if separator and host:
            self.headers[:] = [(b"host", host)] + [header for header in self.headers if header[0] != b"host"]

    def _has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in self.headers)

    def _is_probe(self) -> bool:
        return self.url.partition(b"?")[0].removeprefix(self._root) in _PROBES

    # Refusals

    def _refuse_head(self) -> None:
        if not self._ended:
            self._all.count("head_too_large", self.source)
            self._refuse(head_too_large())

    def _refuse_malformed(self) -> None:
        if not self._ended:
            self._all.count("malformed", self.source)
            self._refuse(malformed())

    def _stop(self) -> None:
        """Discard what follows, and close after the answers to what arrived before."""
        self._ended = True
        if self.answering:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answer a request that never reaches the app, and close in a moment."""
        broken = self._in_body and self.answering and self.cycle.more_body  # by what follows the head of this request
        if self.answering and not broken:
            self._stop()
            return
        self._ended = True
        if broken:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started or self.pipeline:
                self.transport.close()
                return
        delay = self._all.refusals.delay(self.source, self._body_bytes)
        if not delay:
            self._say(problem)
            return
        self.flow.pause_reading()
        self.since = time.monotonic() + delay
        self._later = self.loop.call_later(delay, self._say, problem)

    def _say(self, problem: Problem) -> None:
        if self.transport.is_closing():
            return
        self.since = time.monotonic()
        name = uuid.uuid4().hex
        token = request_id.set(name)
        body = problem_body(problem)
        fields = {"content-type": PROBLEM_TYPE, "content-length": str(len(body)), "connection": "close"}
        fields |= {"x-request-id": name} | {name.lower(): value for name, value in problem.headers.items()}
        request_id.reset(token)
        lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}"]
        lines += [f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in
                  self.server_state.default_headers]  # fmt: skip
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self.flow.resume_reading()
        self.transport.write_eof()  # a close would discard the answer while the caller still sends


def _without_upgrade(data: bytes) -> bytes:
    """Rename the header Upgrade in a head: the parser would drop the body of such a request."""
    head, separator, body = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nX-pgrade:", head) + separator + body
