"""Starts the service by its command, on a free port and with its own data folder, and stops it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

COMMAND = Path(sys.executable).with_name("segsort")


class ServiceStartError(RuntimeError):
    """The service ended or did not answer in time. The message contains its output."""


@contextmanager
def running_service(data: Path, *flags: str, patience: float = 90.0) -> Iterator[str]:
    """Run the service until the block ends. Yields its address, e.g. "http://127.0.0.1:43211"; see `start_service`."""
    process, address = start_service(data, *flags, patience=patience)
    try:
        yield address
    finally:
        stop(process)


def start_service(
    data: Path,
    *flags: str,
    patience: float = 90.0,
    files: int | None = None,
    port: int | None = None,
    log: Path | None = None,
    settings: Mapping[str, str] | None = None,
    session: bool = False,
) -> tuple[subprocess.Popen[bytes], str]:
    """Start the service and wait until it is ready.

    Args:
        data: folder for the database and the log.
        flags: further options of `segsort serve`.
        patience: maximum time until `/readyz` answers, seconds.
        files: hard limit of its open files; None: that of this process.
        port: to listen on; None: a free one.
        log: file of its output; None: `service.log` in `data`.
        settings: further environment variables.
        session: whether it leads a session of its own. Linux shares processors among sessions first.

    Returns:
        The process and its address.

    Raises:
        ServiceStartError: if the process ends or `/readyz` does not answer 200 within `patience`.
    """
    port, log = port or free_port(), log or data / "service.log"
    address = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "SEGSORT_DATA_DIR": str(data), **(settings or {})}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [str(COMMAND), "serve", "--host", "127.0.0.1", "--port", str(port), *flags],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=session,
            preexec_fn=None if files is None else lambda: _limit_files(files),  # no thread runs yet
        )
    try:
        _wait(address, process, log, patience)
    except BaseException:
        stop(process)
        raise
    return process, address


def _limit_files(files: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


def stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the process, and kill it if it does not end within 20 seconds."""
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
    """A free TCP port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
