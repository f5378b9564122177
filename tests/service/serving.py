"""An app behind a real socket, in a thread of this process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from service.answering.engine import Engine


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve until the block ends; yields the address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def wait_until(holds: object, patience: float = 60.0) -> None:
    """Wait until a callable returns something true."""
    assert callable(holds)
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, f"the condition is still false after {patience:g} s"
        time.sleep(0.01)


@contextmanager
def network_held(engine: Engine) -> Iterator[None]:
    """Block the network of the engine while the block runs."""
    cores = engine.segmenter.cores
    for _ in range(cores.lanes):
        assert cores._free.acquire(timeout=10)
    try:
        yield
    finally:
        for _ in range(cores.lanes):
            cores._free.release()
