"""Throughput of the Python client beside plain HTTP requests, with the same number of callers.

python -m benchmarks.client [--images 200] [--workers 8] [--rounds 5] [--out DIR]

Plain HTTP is httpx in a pool of threads, with `json.loads` of each answer; the client is `segment_many`, whose results
are typed. Both read the same files, and take turns. Every answer must be complete. The ratio of each round is that of
the throughput of the client to that of plain HTTP; its interval is the 95 % interval of the mean over rounds.
client_cpu_ms is the CPU time of this process for each image.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
from PIL import Image
from scipy import stats

from benchmarks.common import report
from benchmarks.running_service import running_service
from index_builder.datasets.streets import Streets
from segsort_client import Client

DISTINCT = 20  # images; they are sent in turn


class Turn(NamedTuple):
    """One turn: images a second, and milliseconds of CPU time of this process for each image."""

    per_second: float
    cpu_ms: float


def files(folder: Path, count: int) -> list[Path]:
    """Painted streets as JPEG files of 480x360; `count` paths, which repeat."""
    dataset = Streets("val", count=min(count, DISTINCT))
    for number in range(len(dataset)):
        Image.fromarray(dataset[number].image).save(folder / f"{number}.jpg", quality=90)
    return [folder / f"{number % len(dataset)}.jpg" for number in range(count)]


def plain(service: httpx.Client, paths: Sequence[Path], workers: int) -> int:
    """Number of segments of all images, by plain requests."""

    def one(path: Path) -> int:
        answer = service.post("/segment", content=path.read_bytes()).raise_for_status()
        return len(json.loads(answer.content)["segments"])

    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(one, paths))


def by_client(client: Client, paths: Sequence[Path], workers: int) -> int:
    """Number of segments of all images, by the client. An image without an answer is an error."""
    return sum(len(result.get()) for result in client.segment_many(paths, workers=workers))


def timed(task: Callable[[], int], images: int) -> tuple[Turn, int]:
    """A turn, and what the task returned."""
    began, cpu = time.perf_counter(), time.process_time()
    found = task()
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    return Turn(images / seconds, used / images * 1000), found


def measure(address: str, paths: Sequence[Path], workers: int, rounds: int) -> dict[str, list[Turn]]:
    """Turns of both ways, one of each in a round.

    Raises:
        ValueError: if the ways found different numbers of segments.
    """
    turns: dict[str, list[Turn]] = {"plain HTTP": [], "client": []}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=workers)
    with httpx.Client(base_url=address, timeout=60, limits=limits) as service, Client(address) as client:
        ways: dict[str, Callable[[], int]] = {
            "plain HTTP": lambda: plain(service, paths, workers),
            "client": lambda: by_client(client, paths, workers),
        }
        for task in ways.values():  # not measured
            task()
        for number in range(rounds):
            counts = {}
            for name in list(ways)[:: 1 if number % 2 == 0 else -1]:
                turn, counts[name] = timed(ways[name], len(paths))
                turns[name].append(turn)
            if len(set(counts.values())) > 1:
                raise ValueError(f"the ways found different numbers of segments: {counts}")
    return turns


def rows_of(turns: dict[str, list[Turn]]) -> list[dict[str, Any]]:
    """A row for each way: medians, and the mean ratio to plain HTTP with its 95 % interval."""
    rows = []
    for name, found in turns.items():
        ratios = [a.per_second / b.per_second for a, b in zip(found, turns["plain HTTP"], strict=True)]
        half = stats.sem(ratios) * stats.t.ppf(0.975, len(ratios) - 1) if len(ratios) > 1 else float("nan")
        rows.append(
            {
                "way": name,
                "images/s": float(np.median([turn.per_second for turn in found])),
                "client_cpu_ms": float(np.median([turn.cpu_ms for turn in found])),
                "ratio": float(np.mean(ratios)),
                "ratio_low": float(np.mean(ratios) - half),
                "ratio_high": float(np.mean(ratios) + half),
            }
        )
    return rows


def main() -> None:
    """Start a service, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200, help="images of a turn")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = files(Path(folder), arguments.images)
        with running_service(Path(folder)) as address:
            turns = measure(address, paths, arguments.workers, arguments.rounds)
    details = {"images": arguments.images, "workers": arguments.workers, "rounds": arguments.rounds}
    report("client", rows_of(turns), details | {"turns": turns}, arguments.out)


if __name__ == "__main__":
    main()
