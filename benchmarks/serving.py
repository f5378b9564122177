"""Throughput over HTTP with 1, 4 and 16 callers, compared with the pipeline called in a loop without a service.

python -m benchmarks.serving [--seconds 6] [--rounds 5] [--callers 1 4 16] [--out DIR]

The loop decodes, embeds, sorts and retrieves in this process. The service also writes the answer, records it with its
image, and shares the cores with its callers. Both are measured in turn; a ratio is the median of the ratios of rounds.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import report
from benchmarks.running_service import running_service
from benchmarks.serving_load import Target, closed_loop, latency, rate_of
from benchmarks.street_images import photographs
from model_store.predictor import Predictor
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore
from service.images.decode import decode

LOOP = "loop in process"
SETTLE = 0.5  # seconds at the beginning that do not count, because all callers start at the same time


def looped(answer: Callable[[bytes], object], jpegs: Sequence[bytes], threads: int, seconds: float) -> float:
    """Images per second of a function that answers one image, called in a loop by several threads."""
    counts, started = [0] * threads, time.perf_counter()

    def loop(thread: int) -> None:
        while time.perf_counter() - started < seconds:
            answer(jpegs[(counts[thread] + thread) % len(jpegs)])
            counts[thread] += 1

    workers = [threading.Thread(target=loop, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - started)


class Rounds:
    """Throughput of the loops and of the callers, measured in turn."""

    def __init__(
        self, predict: Callable[[bytes], object], target: Target, callers: Sequence[int], seconds: float
    ) -> None:
        self.latencies: dict[str, list[dict[str, float]]] = {}
        self.tasks: dict[str, Callable[[], float]] = {
            LOOP: lambda: looped(predict, target.bodies, 1, seconds),
            f"{LOOP}, two threads": lambda: looped(predict, target.bodies, 2, seconds),
        }
        for count in callers:
            self.tasks[f"HTTP, {count} callers"] = self._calling(target, count, seconds)

    def _calling(self, target: Target, callers: int, seconds: float) -> Callable[[], float]:
        name = f"HTTP, {callers} callers"

        def call() -> float:
            replies = closed_loop(target, callers, SETTLE + seconds)
            bad = [reply.status for reply in replies if reply.status != 200]
            if bad:
                raise RuntimeError(f"{name}: {len(bad)} of {len(replies)} requests failed, the first with {bad[0]}")
            self.latencies.setdefault(name, []).append(latency(replies))
            return rate_of(replies, SETTLE, SETTLE + seconds)

        return call

    def run(self, rounds: int) -> dict[str, list[float]]:
        """Images per second of each round, by name. The order alternates."""
        rates: dict[str, list[float]] = {name: [] for name in self.tasks}
        for number in range(rounds):
            for name in list(self.tasks)[:: 1 if number % 2 == 0 else -1]:
                rates[name].append(self.tasks[name]())
        return rates


def table_rows(rates: dict[str, list[float]], latencies: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Rows of the table."""
    rows = []
    for name, found in rates.items():
        seen = latencies.get(name)
        ratio = float(np.median(np.divide(found, rates[LOOP])))
        spent = {at: float(np.median([one[at] for one in seen])) if seen else "-" for at in ("p50_ms", "p99_ms")}
        rows.append({"what": name, "images a second": float(np.median(found)), "of the loop": ratio, **spent})
    return rows


def main() -> None:
    """Start the service, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6, help="duration of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    release, jpegs = Release.open(ReleaseStore([BUNDLED], None).active()), photographs()
    predictor = Predictor(release)

    def predict(jpeg: bytes) -> object:
        return predictor.predict(decode(jpeg, 10**8))

    looped(predict, jpegs, 2, 1.0)  # to warm up
    with tempfile.TemporaryDirectory() as data, running_service(Path(data), "--release", str(release.path)) as address:
        target = Target(f"{address}/segment", jpegs)
        closed_loop(target, 4, 1.0)
        rounds = Rounds(predict, target, arguments.callers, arguments.seconds)
        rates = rounds.run(arguments.rounds)
    details = {"seconds": arguments.seconds, "rounds": arguments.rounds, "rates": rates, "images": len(jpegs)}
    report("serving", table_rows(rates, rounds.latencies), details, arguments.out)


if __name__ == "__main__":
    main()
