"""An app behind a real socket, in a thread of this process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.answering.engine import Engine
from service.server import Server


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve until the block ends; yields the address."""
    server = Server(app, app.state.engine.settings.model_copy(update={"port": 0}))
    # Not `Server.run`: it ends the process where threads are left, and those of a test are.
    thread = threading.Thread(target=uvicorn.Server.run, args=(server,), daemon=True)
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


def ended(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    """Wait until a job has ended; returns it as it is then."""
    end = time.monotonic() + 300
    while not (found := client.get(f"/jobs/{job['job_id']}").raise_for_status().json())["ended"]:
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return dict(found)


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
