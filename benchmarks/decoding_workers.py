"""Decoding in a worker beside decoding in the same process, and what a worker costs to start and to keep.

python -m benchmarks.decoding_workers [--rounds 30] [--out DIR]
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import interleave, report, spread
from benchmarks.street_images import Kind, encoded, streets
from model_store import images
from model_store.workers import Worker, WorkerPool, WorkLimits

LIMITS = WorkLimits(seconds=60, megabytes=4000, pixels=40_000_000)
SIZES = ((480, 360), (4000, 3000))
KINDS: tuple[Kind, ...] = ("JPEG", "PNG", "WEBP")
STARTS = 10


def measure(rounds: int) -> list[dict[str, Any]]:
    """A row for each file: milliseconds in this process and in a worker."""
    [street], rows = streets(1), []
    pool = WorkerPool(LIMITS, at_most=1)
    pool.start()
    try:
        for size in SIZES:
            few, block = (rounds, 5) if size == SIZES[0] else (max(rounds // 5, 2), 1)
            for kind in KINDS if size == SIZES[0] else KINDS[:2]:
                content = encoded(street, size, kind)
                here = partial(images.decode, content)
                there = partial(pool.run, "decode", content, max_pixels=images.NO_LIMIT)
                seconds = interleave({"process": here, "worker": there}, few, warmup=1, block=block)
                shown = {"file": f"{kind} {size[0]}x{size[1]}", "plain": str(images.is_plain(content))}
                rows += [{**shown, "where": where, **spread(taken)} for where, taken in seconds.items()]
    finally:
        pool.close()
    return rows


def started() -> dict[str, Any]:
    """Times to start a worker, and the memory of one that has not worked, without what it shares with others."""
    seconds, megabytes = [], []
    for _ in range(STARTS):
        begun = time.perf_counter()
        worker = Worker()
        worker.wait_until_ready()
        seconds.append(time.perf_counter() - begun)
        sizes = Path(f"/proc/{worker.pid}/smaps_rollup").read_text().split("\n")
        own = [int(line.split()[1]) for line in sizes if line.startswith("Private_")]
        megabytes.append(sum(own) / 1000)
        worker.close()
    return {"start": spread(seconds), "own_memory_mb": sorted(megabytes)[STARTS // 2]}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    details = started()
    print(details)
    report("decoding_workers", measure(arguments.rounds), details, arguments.out)


if __name__ == "__main__":
    main()
