"""Webhooks while a receiver is down and services are killed: every event is delivered, in order; memory stays bounded.

    python -m benchmarks.webhooks [--edits 1000] [--down 60] [--release RELEASE] [--database URL]

Two processes serve one database, with the default settings of webhooks. A quarter of the edits is made while the
receiver answers, to measure how long an event takes. Then the receiver is down for a minute, and half of the edits are
made; one process is killed and started again meanwhile. When the receiver is up again, the process that sends is killed
in the middle of what waits, and the last quarter of the edits is made. Where --database is left out, the database is an
SQLite file; `.ci/postgres sh -c 'python -m benchmarks.webhooks --database $SEGSORT_TEST_POSTGRES'` runs it over
PostgreSQL.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.common import report
from benchmarks.running_service import free_port, start_service, stop
from benchmarks.webhook_receiver import read, receiving

_PATIENCE_S = 300
_COLORS = 2**24
_SLOW_S = 0.01  # for each event of what waits, so that the kill is in the middle of it


class _Processes:
    """Two processes of a service over one database."""

    def __init__(self, data: Path, url: str | None, flags: tuple[str, ...]) -> None:
        self._data, self._flags = data, flags
        self._database = url or f"sqlite:///{data / 'segsort.sqlite'}"
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.addresses: dict[int, str] = {}
        self.kills = 0

    def start(self, number: int) -> None:
        folder = self._data / str(number)
        folder.mkdir(exist_ok=True)
        os.environ["SEGSORT_DATABASE_URL"] = self._database
        self._running[number], self.addresses[number] = start_service(folder, *self._flags)

    def kill(self, number: int) -> None:
        self.kills += 1
        self._running[number].kill()
        self._running[number].wait()

    def resident_mb(self) -> float:
        """Memory of the larger process."""
        sizes = [
            int((Path("/proc") / str(process.pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
            for process in self._running.values()
            if process.poll() is None
        ]
        return max(sizes)

    def stop(self) -> None:
        for process in self._running.values():
            stop(process)


def make_edits(address: str, count: int, first: int) -> None:
    """Change the colour of a class so many times. first: number of the first change."""
    with httpx.Client(base_url=address, timeout=60) as client:
        for number in range(first, first + count):
            color = f"#{(number * 7919) % _COLORS:06x}"
            client.post("/classes", json={"class_id": 0, "color": color}).raise_for_status()


def wait_until(holds: Callable[[], bool]) -> float:
    """Wait until a condition holds; seconds that it took."""
    start = time.monotonic()
    while not holds():
        if time.monotonic() - start > _PATIENCE_S:
            raise RuntimeError(f"the condition is still false after {_PATIENCE_S} s")
        time.sleep(0.02)
    return time.monotonic() - start


def delays(lines: list[dict[str, Any]]) -> list[float]:
    """Seconds from an edit to the arrival of its event."""
    return [one["at"] - datetime.fromisoformat(one["timestamp"]).timestamp() for one in lines]


def run(data: Path, edits: int, down: float, flags: tuple[str, ...], url: str | None) -> dict[str, Any]:
    """Run all steps.

    Args:
        data: folder of the services.
        edits: number of edits.
        down: seconds that the receiver is down.
        flags: options of `segsort serve`.
        url: of the database; None: an SQLite file in `data`.
    """
    processes, log, port, quarter = _Processes(data, url, flags), data / "received", free_port(), edits // 4
    try:
        processes.start(0)
        processes.start(1)
        made = httpx.post(f"{processes.addresses[0]}/webhooks", json={"url": f"http://127.0.0.1:{port}/"}).json()
        with receiving(port, log, made["secret"]):
            make_edits(processes.addresses[0], quarter, 1)
            wait_until(lambda: len(read(log)) >= quarter)
        quick, before = delays(read(log)), processes.resident_mb()
        start = time.monotonic()
        make_edits(processes.addresses[1], quarter, quarter + 1)
        processes.kill(0)
        make_edits(processes.addresses[1], quarter, 2 * quarter + 1)
        processes.start(0)
        time.sleep(max(0.0, down - (time.monotonic() - start)))
        during, waited = processes.resident_mb(), len(read(log))
        with receiving(port, log, made["secret"], _SLOW_S):
            first = wait_until(lambda: len(read(log)) > waited)
            wait_until(lambda: len(read(log)) > waited + quarter)
            sender = _sender(processes)
            processes.kill(sender)
            killed, reached = time.monotonic(), len(read(log))
            make_edits(processes.addresses[1 - sender], edits - 3 * quarter, 3 * quarter + 1)
            after_kill = _next_arrival(log, reached, killed)
            caught_up = wait_until(lambda: len({line["id"] for line in read(log)}) >= edits)
        most = max(before, during, processes.resident_mb())
    finally:
        processes.stop()
    lines = read(log)
    firsts = [line["data"]["revision"] for line in lines if not line["again"]]
    return {
        "edits": edits, "delivered": len(set(firsts)), "in order": firsts == sorted(firsts),
        "sent twice": len(lines) - len(firsts), "kills": processes.kills, "median_s": float(np.median(quick)),
        "p90_s": float(np.percentile(quick, 90)), "first after down_s": first,
        "waiting at kill": 3 * quarter - reached, "takeover_s": after_kill,
        "caught up_s": caught_up, "memory before_mb": before, "memory most_mb": most,
    }  # fmt: skip


def _sender(processes: _Processes) -> int:
    """The process that has sent most since its start."""
    counts = {}
    for number, address in processes.addresses.items():
        lines = httpx.get(f"{address}/metrics").text.splitlines()
        counts[number] = sum(
            float(line.split()[-1])
            for line in lines
            if line.startswith("segsort_webhook_tries_total") and "deliv" in line
        )
    # Process 0 has started last: what it has delivered, it has delivered now.
    return 0 if counts[0] else 1


def _next_arrival(log: Path, reached: int, killed: float) -> float:
    """Seconds from the kill to the next event."""
    offset = time.time() - time.monotonic()
    wait_until(lambda: len(read(log)) > reached)
    later = [line["at"] for line in read(log)[reached:] if line["at"] > killed + offset]
    return float(later[0] - killed - offset) if later else 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--down", type=float, default=60, help="seconds")
    parser.add_argument("--release")
    parser.add_argument("--database")
    options = parser.parse_args()
    flags = () if options.release is None else ("--release", str(Path(options.release).absolute()))
    with tempfile.TemporaryDirectory() as data:
        result = run(Path(data), options.edits, options.down, flags, options.database)
    kind = "sqlite" if options.database is None else options.database.partition(":")[0].partition("+")[0]
    report(f"webhooks_{kind}", [{"figure": name, "value": value} for name, value in result.items()], result)
    if result["delivered"] != result["edits"] or not result["in order"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
