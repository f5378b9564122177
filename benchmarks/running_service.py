"""Starts the service as a user would, on a free port with a data folder of its own, and stops it again."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

COMMAND = Path(sys.executable).with_name("segsort")


class ServiceStartError(RuntimeError):
    """The service ended or did not answer in time; the message holds what it printed."""


@contextmanager
def running_service(data: Path, *flags: str, patience: float = 90.0) -> Iterator[str]:
    """Serve until the block ends; yields the address, for example "http://127.0.0.1:43211". See `start_service`."""
    process, address = start_service(data, *flags, patience=patience)
    try:
        yield address
    finally:
        stop(process)


def start_service(data: Path, *flags: str, patience: float = 90.0) -> tuple[subprocess.Popen[bytes], str]:
    """Start the service and wait until it is ready.

    Args:
        data: folder for the database and the log.
        flags: further flags of `segsort serve`.
        patience: seconds to wait for `/readyz`.

    Returns:
        The process and its address.

    Raises:
        ServiceStartError: if the process ends or `/readyz` does not answer 200 within `patience`.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = data / "service.log"
    environment = {**os.environ, "SEGSORT_DATA_DIR": str(data)}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [str(COMMAND), "serve", "--host", "127.0.0.1", "--port", str(port), *flags],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(address, process, log, patience)
    except BaseException:
        stop(process)
        raise
    return process, address


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, and end it."""
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path, patience: float) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ServiceStartError(f"segsort serve ended with {process.returncode}:\n{log.read_text()[-4000:]}")
        try:
            if httpx.get(f"{address}/readyz", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise ServiceStartError(f"{address}/readyz was not ready within {patience} s:\n{log.read_text()[-4000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
