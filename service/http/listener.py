"""Accepts connections in small batches, so that there is time to close others before the limit of open files is met.

The servers of asyncio and uvloop accept all connections that wait before the first of them is handled. With a short
queue in the kernel instead, callers wait a second and more while many others connect.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

_log = logging.getLogger("segsort.connections")
_BACKLOG = 2048  # connections that wait in the kernel
BATCH = 32  # connections that are accepted at once
_PAUSE_S = 0.1  # after an error such as too many open files
_NO_SUCH_FAMILY = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # for example of IPv6 in a container without it


class Listener:
    """Listens on all addresses of a host. It has the methods of `asyncio.Server` that uvicorn uses.

    Args:
        host: name or address.
        port: TCP port; 0: any free one.
        make: makes the protocol of a connection.
        pause: the seconds for which no connection is to be accepted.

    Raises:
        OSError: if no address of the host can be used.
    """

    def __init__(
        self, host: str, port: int, make: Callable[[], asyncio.Protocol], pause: Callable[[], float] = lambda: 0.0
    ) -> None:
        self.sockets = _listening(host, port)
        self._make, self._pause = make, pause
        self._accepted: set[socket.socket] = set()  # connections that have not begun yet
        self._tasks = [asyncio.create_task(self._accept(one)) for one in self.sockets]

    def close(self) -> None:
        """Stop listening. Open connections stay."""
        for task in self._tasks:
            task.cancel()
        for one in self.sockets:
            one.close()

    async def wait_closed(self) -> None:
        """Wait until nothing is accepted any more."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted = [(await loop.sock_accept(listening))[0]]
                accepted += _waiting(listening, BATCH - 1)
            except OSError as error:
                _log.error("a connection cannot be accepted: %s", error)
                await asyncio.sleep(_PAUSE_S)
                continue
            self._accepted.update(accepted)
            try:
                await asyncio.gather(*(self._begin(loop, one) for one in accepted))
            except asyncio.CancelledError:
                self._drop(accepted)
                raise
            if seconds := self._pause():
                await asyncio.sleep(seconds)

    async def _begin(self, loop: asyncio.AbstractEventLoop, accepted: socket.socket) -> None:
        self._accepted.discard(accepted)
        try:
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.connect_accepted_socket(self._make, accepted)
        except OSError:  # the caller has left
            accepted.close()

    def _drop(self, accepted: list[socket.socket]) -> None:
        """Close connections that were accepted and will not begin."""
        for one in self._accepted.intersection(accepted):
            self._accepted.discard(one)
            one.close()


def _waiting(listening: socket.socket, most: int) -> list[socket.socket]:
    """Connections that wait already, at most so many."""
    found: list[socket.socket] = []
    try:
        while len(found) < most:
            found.append(listening.accept()[0])
    except OSError:  # none waits, or the next call reports the error
        pass
    return found


def _listening(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on each address of a host."""
    addresses = dict.fromkeys(
        (family, address)
        for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    )
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    for family, address in addresses:
        try:
            one = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
            one.setblocking(False)
            sockets.append(one)
        except OSError as error:
            failure = error
            if error.errno not in _NO_SUCH_FAMILY:
                break
    if not sockets or (failure is not None and failure.errno not in _NO_SUCH_FAMILY):
        for one in sockets:
            one.close()
        raise failure or OSError(f"{host} has no address")
    return sockets
