"""Resident memory of a service over thousands of images in mixed formats and sizes.

python -m benchmarks.serving_memory [--requests 10000] [--first 500] [--callers 4] [--out DIR]

One in a hundred files is damaged and refused. Memory is read from /proc while no request is running.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.common import report
from benchmarks.running_service import start_service, stop
from benchmarks.street_images import mixed

SAMPLES = 20
BROKEN_EACH = 100


def resident_mib(pid: int) -> float:
    """Resident memory of a process, MiB.

    Raises:
        ValueError: if the process has ended.
    """
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no resident memory, because it has ended; start the service again")


async def _send(address: str, callers: int, pid: int, marks: list[int]) -> tuple[Any, Any]:
    """Send images up to each mark in turn. Returns the memory at each mark in MiB, and the number of each status."""
    files, statuses = list(islice(mixed(), 32)), Counter[int]()
    memory, done = {}, 0

    async def call(client: aiohttp.ClientSession, waiting: Iterator[int]) -> None:
        for n in waiting:
            content, kind = files[n % len(files)]
            content = content[:200] if n % BROKEN_EACH == BROKEN_EACH - 1 else content
            async with client.post(f"{address}/segment", data=content, headers={"content-type": kind}) as answer:
                await answer.read()
                statuses[answer.status] += 1

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300)) as client:
        for mark in marks:
            waiting = iter(range(done, mark))
            await asyncio.gather(*(call(client, waiting) for _ in range(callers)))
            memory[mark], done = resident_mib(pid), mark
    return memory, statuses


def measure(requests: int, first: int, callers: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of the table, and details with all samples."""
    marks = sorted({first, requests, *(requests * n // SAMPLES for n in range(1, SAMPLES))})
    with tempfile.TemporaryDirectory() as data:
        process, address = start_service(Path(data))
        try:
            at_start, begun = resident_mib(process.pid), time.perf_counter()
            memory, statuses = asyncio.run(_send(address, callers, process.pid, marks))
            seconds = time.perf_counter() - begun
        finally:
            stop(process)
    rows = [{"after": "the start", "MiB": at_start, "of the first": "-"}]
    rows += [
        {"after": f"{mark} requests", "MiB": memory[mark], "of the first": memory[mark] / memory[first]}
        for mark in (first, requests)
    ]
    counts = {str(status): count for status, count in statuses.items()}
    return rows, {"samples_mib": memory, "statuses": counts, "callers": callers, "seconds": seconds}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=500, help="number of requests before the first measurement")
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if not 0 < arguments.first < arguments.requests <= 100_000:
        parser.error(f"--first {arguments.first} must be below --requests {arguments.requests}, at most 100,000")
    report("serving_memory", *measure(arguments.requests, arguments.first, arguments.callers), arguments.out)


if __name__ == "__main__":
    main()
