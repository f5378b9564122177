"""Messages between two processes: JSON with open files, over a socket."""

import json
import os
import select
import socket
import time
from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]
LONGEST = 64_000_000  # bytes of a message
_MOST_FILES = 2
_CLOSED_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Channel:
    """One end of a socket.

    Args:
        connected: the socket, which belongs to this object.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def send(self, message: Message, files: Sequence[int] = ()) -> None:
        """Send a message, and files that stay open here."""
        body = json.dumps(message).encode()
        data = len(body).to_bytes(4, "big") + body
        sent = socket.send_fds(self._socket, [data], files)
        if sent < len(data):
            self._socket.sendall(data[sent:])

    def wait(self, seconds: float) -> bool:
        """Wait until a message arrives or the other end closes the socket; False: neither happened in this time."""
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))

    def receive(self, until: float | None = None) -> tuple[Message, list[int]] | None:
        """Wait for a message, and for its files, which the caller closes; None: the other end has closed the socket.

        Args:
            until: on the monotonic clock; None: as long as it takes.

        Raises:
            TimeoutError: if the time is over.
            ValueError: if it is no such message.
        """
        data, files = bytearray(), list[int]()
        try:
            while len(data) < 4 or len(data) < 4 + self._length(data):
                self._socket.settimeout(None if until is None else max(until - time.monotonic(), 0.001))
                part, found, _, _ = socket.recv_fds(self._socket, 1 << 20, _MOST_FILES, _CLOSED_ON_EXEC)
                files += found
                if not part:
                    _close(files)
                    return None
                data += part
            self._socket.settimeout(None)
            message = json.loads(data[4:])
            if not isinstance(message, dict) or len(files) > _MOST_FILES:
                raise ValueError(f"a message of {type(message).__name__} with {len(files)} files")
        except BaseException:
            _close(files)
            raise
        return message, files

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    @staticmethod
    def _length(data: bytearray) -> int:
        length = int.from_bytes(data[:4], "big")
        if length > LONGEST:
            raise ValueError(f"a message of {length} bytes")
        return length


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)
    files.clear()
