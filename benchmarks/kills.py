"""Kills at random while edits are made: no acknowledged edit is lost, none is there twice.

    python -m benchmarks.kills [--edits 1000] [--release RELEASE] [--database URL] [--seed 0]

Two processes serve one database. Four writers make edits of all kinds over HTTP, on each process in turn, and note what
is acknowledged. A random one of the processes is killed by SIGKILL at a random moment, sometimes both. After each kill
`segsort verify` checks the whole database, and the process starts again. Where --database is left out, the database is
an SQLite file; `.ci/postgres sh -c 'python -m benchmarks.kills --database $SEGSORT_TEST_POSTGRES'` runs it over
PostgreSQL.
"""

import argparse
import os
import subprocess
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np

from benchmarks.common import report
from benchmarks.running_service import ServiceStartError, start_service, stop
from benchmarks.writers import Address, Writer, encoded
from service.records.head_file import HeadFile
from service.verifying.verify import verify_database

WRITERS = "abcd"
_PROCESSES = 2


class Result(NamedTuple):
    """What came of a run. lost, double: reasons of acknowledged edits; unknown: of edits that nobody asked for;
    altered: of edits that are not as they were acknowledged; failures: what writers did not expect; damage: findings of
    the verifications."""

    acknowledged: int
    interrupted: int
    kinds: dict[str, int]
    kills: int
    verifications: int
    lost: list[str]
    double: list[str]
    unknown: list[str]
    altered: list[str]
    failures: list[str]
    damage: list[str]
    seconds: float

    @property
    def faultless(self) -> bool:
        """Whether nothing was lost, doubled or damaged."""
        return not (self.lost or self.double or self.unknown or self.altered or self.failures or self.damage)


class _Processes:
    """The processes of a service over one database, which can be killed and started again."""

    def __init__(self, data: Path, url: str | None, flags: tuple[str, ...], address: Address) -> None:
        self._data, self._flags, self._address = data, flags, address
        self.database = url or f"sqlite:///{data / 'segsort.sqlite'}"
        self._keeper = HeadFile.of(data, self.database)
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.verifications, self.damage = 0, list[str]()

    def start(self, number: int) -> str:
        """Start a process; returns its address."""
        os.environ["SEGSORT_DATABASE_URL"] = self.database
        self._running[number], url = start_service(self._data, *self._flags, patience=300)
        self._address.set(url, number)
        return url

    def kill(self, numbers: list[int]) -> None:
        """Kill processes at once."""
        for number in numbers:
            self._address.set(None, number)
        stopped = [self._running.pop(number) for number in numbers if number in self._running]
        for process in stopped:
            process.kill()
        for process in stopped:
            process.wait(timeout=60)

    def restart(self, numbers: list[int]) -> None:
        """Check the database, and start processes again. A process that does not start is damage."""
        self.verify()
        for number in numbers:
            try:
                self.start(number)
            except ServiceStartError as error:
                self.damage.append(f"process {number} did not start: {error}")

    def verify(self) -> None:
        """Check the database, while the other process may write it."""
        self.verifications += 1
        self.damage += map(str, verify_database(self.database, self._keeper).findings)

    def stop(self) -> None:
        """Stop all processes."""
        for process in self._running.values():
            stop(process)


def run(
    data: Path, edits: int, flags: tuple[str, ...], url: str | None = None, seed: int = 0, kills: int = 20
) -> Result:
    """Let the writers make edits while processes are killed.

    Args:
        data: folder of the service.
        edits: number of edits that are acknowledged in all, at least.
        flags: options of `segsort serve`.
        url: of the database; None: an SQLite file in `data`.
        seed: of the random choices.
        kills: number of kills that are spread over the edits.
    """
    start, random, address = time.monotonic(), np.random.default_rng(seed), Address()
    processes = _Processes(data, url, flags, address)
    count = 0
    try:
        first = processes.start(0)
        with httpx.Client(base_url=first, timeout=120) as client:
            writers = [
                Writer(name, address, segmented(client, n), -(-edits // len(WRITERS))) for n, name in enumerate(WRITERS)
            ]
        processes.start(1)
        threads = [threading.Thread(target=writer.run, daemon=True) for writer in writers]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and not processes.damage:
            _wait_for_more(writers, threads, edits // (2 * kills), float(random.uniform(0, 0.1)))
            chosen = list(range(_PROCESSES)) if random.uniform() < 0.25 else [int(random.integers(_PROCESSES))]
            processes.kill(chosen)
            count += len(chosen)
            restart = threading.Thread(target=processes.restart, args=(chosen,))
            restart.start()
            _hold_after(writers, restart, edits // (2 * kills), address)
        with httpx.Client(base_url=address.wait(), timeout=120) as client:
            there = all_edits(client)
        processes.verify()
    finally:
        processes.stop()
    return _result(writers, there, count, processes, time.monotonic() - start)


def _result(
    writers: list[Writer], there: list[dict[str, Any]], kills: int, processes: _Processes, seconds: float
) -> Result:
    acknowledged = {reason: edit for writer in writers for reason, edit in writer.acknowledged.items()}
    asked = acknowledged.keys() | {reason for writer in writers for reason in writer.cut_off}
    times = Counter(str(edit["reason"]) for edit in there)
    found = {str(edit["reason"]): edit for edit in there}
    lasting = ("revision", "kind", "author", "exemplar_ids", "classes", "summary", "created")
    return Result(
        acknowledged=len(acknowledged),
        interrupted=sum(len(writer.cut_off) for writer in writers),
        kinds=dict(Counter(str(edit["kind"]) for edit in there)),
        kills=kills,
        verifications=processes.verifications,
        lost=sorted(acknowledged.keys() - found.keys()),
        double=[reason for reason, number in times.items() if number > 1],
        unknown=sorted(found.keys() - asked),
        altered=[
            reason
            for reason, edit in acknowledged.items()
            if reason in found and any(found[reason][name] != edit[name] for name in lasting)
        ],
        failures=[failure for writer in writers for failure in writer.failures],
        damage=processes.damage,
        seconds=seconds,
    )


def segmented(client: httpx.Client, number: int) -> list[str]:
    """Ids of the segments of an image."""
    blocks = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    image = np.repeat(np.repeat(blocks, 24, 0), 24, 1)
    answer = client.post("/segment", content=encoded(image)).raise_for_status().json()
    return [segment["segment_id"] for segment in answer["segments"]]


def _wait_for_more(writers: list[Writer], threads: list[threading.Thread], more: int, then: float) -> None:
    """Wait until more edits are acknowledged, and a moment longer, so that others are under way."""
    wanted = sum(len(writer.acknowledged) for writer in writers) + more
    while sum(len(one.acknowledged) for one in writers) < wanted and any(thread.is_alive() for thread in threads):
        time.sleep(0.005)
    time.sleep(then)


def _hold_after(writers: list[Writer], restart: threading.Thread, most: int, address: Address) -> None:
    """Wait until the restart ends. Meanwhile the writers make at most so many edits, so that there are enough kills."""
    limit = sum(len(writer.acknowledged) for writer in writers) + most
    while restart.is_alive():
        if sum(len(writer.acknowledged) for writer in writers) >= limit:
            address.hold(True)
        time.sleep(0.005)
    address.hold(False)


def all_edits(client: httpx.Client) -> list[dict[str, Any]]:
    """All edits of a service, the newest first."""
    edits: list[dict[str, Any]] = []
    while page := client.get(
        "/edits", params={"limit": 100} | ({"before": edits[-1]["revision"]} if edits else {})
    ).raise_for_status().json():  # fmt: skip
        edits += page
    return edits


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--release")
    parser.add_argument("--database")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    flags = () if options.release is None else ("--release", str(Path(options.release).absolute()))
    with tempfile.TemporaryDirectory() as data:
        result = run(Path(data), options.edits, flags, options.database, options.seed, options.kills)
    counted = ("lost", "double", "unknown", "altered", "failures", "damage")
    row = {"acknowledged": result.acknowledged, "kills": result.kills, "verifications": result.verifications}
    kind = "sqlite" if options.database is None else options.database.partition(":")[0].partition("+")[0]
    report(f"kills_{kind}", [row | {name: len(getattr(result, name)) for name in counted}], result._asdict())
    if not result.faultless:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
