"""POST /segment of this working copy beside another one, such as an earlier commit, in one run.

git worktree add ../before COMMIT
python -m benchmarks.beside --before ../before [--rounds 40] [--image photo.jpg] [--release PATH] [--out DIR]

Both services run at the same time, each with the bundled release and the default settings of its working copy, and are
called in turn by one caller. The ratio is the median over the rounds of this copy's time divided by the other's, with
the interval of 95 % from a bootstrap over the rounds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.common import report, spread
from benchmarks.latency import photo
from benchmarks.running_service import ServiceStartError, free_port, stop

BLOCK = 3  # measured calls of a turn, after one that is not
WARMUP = 3  # rounds
PATIENCE = 600.0  # maximum time of a start, seconds; the first one compiles loops
_RESAMPLES = 2000


@contextmanager
def service_of(copy: Path, data: Path, *, settings: dict[str, str] | None = None) -> Iterator[str]:
    """Run the service of a working copy until the block ends. Yields its address.

    Args:
        copy: root of the working copy.
        data: folder for the database and the log.
        settings: environment variables.

    Raises:
        ServiceStartError: if it ends or is not ready within `PATIENCE`.
    """
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(copy.resolve()), "SEGSORT_DATA_DIR": str(data), **(settings or {})}
    command = [sys.executable, "-m", "command_line.main", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (data / "service.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=copy, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}", data / "service.log")
            yield f"127.0.0.1:{port}"
        finally:
            stop(process)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{address}/readyz", timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise ServiceStartError(log.read_text(errors="replace")[-3000:])


def in_turn(tasks: Sequence[Callable[[], object]], rounds: int) -> np.ndarray:
    """Time tasks in turn: seconds of the median call of each turn, [tasks, rounds]."""
    taken = np.zeros((len(tasks), WARMUP + rounds))
    for number in range(WARMUP + rounds):
        for which in range(len(tasks))[:: 1 if number % 2 == 0 else -1]:
            tasks[which]()
            spent = []
            for _ in range(BLOCK):
                start = time.perf_counter()
                tasks[which]()
                spent.append(time.perf_counter() - start)
            taken[which, number] = np.median(spent)
    return taken[:, WARMUP:]


def ratio(now: np.ndarray, before: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Median over rounds of the ratio of two times, and its interval of 95 %: [rounds], [rounds] -> three numbers."""
    ratios = now / before
    drawn = np.random.default_rng(seed).choice(ratios, (_RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(np.median(ratios)), float(low), float(high)


def _commit(copy: Path) -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=copy, capture_output=True, text=True, check=True)
    return done.stdout.strip()[:9]


def measure(
    copies: Sequence[Path], jpeg: bytes, rounds: int, release: Path | None = None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of the table, this copy first, and details. release: of this copy; None: the bundled one."""
    steps: list[list[dict[str, float]]] = [[] for _ in copies]
    with ExitStack() as stack:
        addresses, tasks = [], []
        for number, copy in enumerate(copies):
            data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            own = {"SEGSORT_RELEASE": str(release.resolve())} if release is not None and number == 0 else None
            address = stack.enter_context(service_of(copy, data, settings=own))
            client = stack.enter_context(closing(HTTPConnection(address, timeout=60)))

            def request(client: HTTPConnection = client, number: int = number) -> None:
                client.request("POST", "/segment", jpeg, {"content-type": "image/jpeg"})
                steps[number].append(json.loads(client.getresponse().read())["timings_ms"])

            addresses.append(address)
            tasks.append(request)
        taken = in_turn(tasks, rounds)
        bits = [httpx.get(f"http://{address}/readyz").json()["network_bits"] for address in addresses]
    rows = []
    for copy, seconds, found, width in zip(copies, taken, steps, bits, strict=True):
        middle, low, high = ratio(seconds, taken[-1])
        medians = {step: float(np.median([one[step] for one in found])) for step in ("embed", "sort", "retrieve")}
        rows.append(
            {"commit": _commit(copy), "network, bits": width, **spread(list(seconds)), **medians, "ratio": middle,
             "ratio, low": low, "ratio, high": high}
        )  # fmt: skip
    return rows, {"rounds": rounds, "calls": BLOCK, "jpeg_bytes": len(jpeg)}


def main() -> None:
    """Start both services, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="root of the other working copy")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--image", type=Path, help="resized to 480x360; default: a painted street")
    parser.add_argument("--release", type=Path, help="folder of the release of this copy; default: the bundled one")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    copies = [Path(), arguments.before]
    rows, details = measure(copies, photo(arguments.image), arguments.rounds, arguments.release)
    report("beside", rows, details, arguments.out)


if __name__ == "__main__":
    main()
