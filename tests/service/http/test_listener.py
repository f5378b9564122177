"""Accepting connections: what is accepted begins or is closed."""

import asyncio
import gc
import socket
import warnings

import pytest

from service.http import listener as module
from service.http.listener import Listener


def test_a_connection_that_is_accepted_while_listening_ends_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    accepted, more = asyncio.Event(), module._waiting

    def noticed(listening: socket.socket, most: int) -> list[socket.socket]:
        accepted.set()
        return more(listening, most)

    monkeypatch.setattr(module, "_waiting", noticed)

    async def main() -> int:
        one = Listener("127.0.0.1", 0, asyncio.Protocol)
        port = int(one.sockets[0].getsockname()[1])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as caller:
            while not accepted.is_set():
                await asyncio.sleep(0)
            one.close()  # before the connection has begun
            await one.wait_closed()
            assert caller.recv(1) == b""
        return port

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        port = asyncio.run(main())
        gc.collect()
    assert not [one for one in told if f"laddr=('127.0.0.1', {port})" in str(one.message)]
