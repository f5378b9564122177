"""Measures the time from the start of `segsort serve` to the first `/readyz` that answers 200.

python -m benchmarks.serving_start [--rounds 7] [--out DIR]

"first" compiles the loops, like the first start after an installation. "again" uses the loops that "first" compiled.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from benchmarks.common import report, spread
from benchmarks.running_service import COMMAND, ServiceStartError, free_port, stop

PATIENCE = 120.0  # seconds
POLL = 0.01  # seconds


@contextmanager
def started(data: Path, compiled: Path) -> Iterator[float]:
    """Serve until the block ends. Yields the seconds from the start of the process until it was ready.

    Args:
        data: the data folder.
        compiled: folder of compiled loops.

    Raises:
        ServiceStartError: if the process ends, or is not ready within PATIENCE seconds.
    """
    port = free_port()
    environment = {**os.environ, "SEGSORT_DATA_DIR": str(data), "NUMBA_CACHE_DIR": str(compiled)}
    begun = time.perf_counter()
    process = subprocess.Popen(
        [str(COMMAND), "serve", "--port", str(port)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _ready(port):
            if process.poll() is not None or time.perf_counter() - begun > PATIENCE:
                raise ServiceStartError(f"exit status {process.poll()}; not ready within {PATIENCE} s")
            time.sleep(POLL)
        yield time.perf_counter() - begun
    finally:
        stop(process)


def _ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def measure(rounds: int) -> list[dict[str, Any]]:
    """Measure one first start and `rounds` later ones. Returns one row for each kind of start."""
    seconds: dict[str, list[float]] = {"first": [], "again": []}
    with tempfile.TemporaryDirectory() as compiled:
        for number in range(rounds + 1):
            with tempfile.TemporaryDirectory() as data, started(Path(data), Path(compiled)) as taken:
                seconds["first" if number == 0 else "again"].append(taken)
    return [{"start": name, "starts": len(taken), **spread(taken)} for name, taken in seconds.items()]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    report("serving_start", measure(arguments.rounds), {"rounds": arguments.rounds}, arguments.out)


if __name__ == "__main__":
    main()
