"""A Ray cluster of this machine alone, for one command: it ends with the command, however that ends."""

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_STORE = 256 * 2**20  # bytes of shared memory for results on their way
_STARTED = "Ray runtime started."
_PATIENCE_S = 300  # for a start on a busy machine
_TRIES = 5
_PORTS = (
    "port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port", "runtime-env-agent-port",
    "ray-client-server-port",
)  # fmt: skip
_SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_NODE = {
    "RAY_raylet_start_wait_time_s": str(_PATIENCE_S),
    "RAY_agent_register_timeout_ms": str(1000 * _PATIENCE_S),
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # it ends at once when the command was killed
    "PYTHONUNBUFFERED": "1",  # so that its start is seen at once
}
_TOKEN = secrets.token_hex(32)  # other people of this machine must not run programs in the cluster
AUTHENTICATION = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _TOKEN}  # Ray reads it once in a process


class LocalCluster:
    """A cluster of one node, which starts in the background.

    Args:
        workers: processes that work at the same time.
        with_gpus: whether it offers the GPUs of this machine.

    Raises:
        OSError: if it cannot be started.
    """

    def __init__(self, workers: int, with_gpus: bool) -> None:
        self._flags = [f"--num-cpus={workers}", *([] if with_gpus else ["--num-gpus=0"])]
        self._node = _Node(self._flags)

    def wait_until_started(self) -> str:
        """Wait until programs can connect; returns the address.

        Raises:
            OSError: if it does not start.
        """
        end, tries = time.monotonic() + _PATIENCE_S, 1
        while not self._node.is_started:
            reason = self._node.failure()
            if time.monotonic() > end:
                reason, tries = f"not ready after {_PATIENCE_S} s", _TRIES
            if reason is not None:
                self._node.stop()
                if tries == _TRIES:
                    raise OSError(f"it did not start: {reason}")
                self._node, tries = _Node(self._flags), tries + 1
            time.sleep(0.02)
        return self._node.address

    def stop(self) -> None:
        """End all its processes, and remove its files."""
        self._node.stop()


class _Node:
    """One try to start a node. Ray gives up where a part of it needs more than 15 seconds, on a busy machine."""

    def __init__(self, flags: Sequence[str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="segsort-work-"))
        self._log = self._folder / "start.log"
        ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self.address = f"127.0.0.1:{ports['port']}"
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats",
            "--include-dashboard=false", "--include-log-monitor=false", "--no-monitor", "--node-ip-address=127.0.0.1",
            f"--object-store-memory={_STORE}", f"--temp-dir={self._folder}",
            *flags, *(f"--{name}={port}" for name, port in ports.items()),
        ]  # fmt: skip
        try:
            with self._log.open("wb") as sink:
                self._process = subprocess.Popen(
                    command, env={**_NODE, **AUTHENTICATION, **os.environ, **_SINGLE}, stdin=subprocess.DEVNULL,
                    stdout=sink, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_end_with_parent,
                )  # fmt: skip
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def is_started(self) -> bool:
        """Whether programs can connect."""
        return _STARTED in self._log.read_text(errors="replace")

    def failure(self) -> str | None:
        """Why it will not start; None: it may."""
        crashed = next(self._folder.glob("session_2*/logs/raylet.err"), None)
        told = "" if crashed is None else crashed.read_text(errors="replace")
        if "Check failed" in told:
            return f"its node ended ({told[told.index('Check failed') :].splitlines()[0][:200]})"
        if self._process.poll() is None:
            return None
        lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self._process.returncode}"

    def stop(self) -> None:
        """End all its processes, and remove its files."""
        pids = _processes_of(self._folder, self._process.pid)
        self._process.kill()  # a node that is asked to end drains first, for some seconds
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens at now."""
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in opened]
    finally:
        for one in opened:
            one.close()


def _end_with_parent() -> None:
    """Let Linux send SIGTERM to this process when its parent ends, also if that is killed."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _processes_of(folder: Path, pid: int) -> list[int]:
    """Processes of a node: those below `pid`, and those that name its folder in their command."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if str(folder).encode() in (process / "cmdline").read_bytes():
                found.add(int(process.name))
    found.discard(os.getpid())
    level = {pid, *found}
    while level := {child for child, parent in parents.items() if parent in level} - found:
        found |= level
    return sorted(found - {pid})
