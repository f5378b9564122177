"""Behaviour of a service under overload: requests at a constant rate, up to three times its capacity.

python -m benchmarks.serving_overload [--seconds 15] [--loads 0.5 0.9 1.5 2 3] [--deadline S] [--out DIR]

Capacity is the throughput with 16 waiting callers, measured before and after. Goodput is the number of successful
answers per second. It is measured over the time of the arrivals without the first third, in which the queue fills.
Without --deadline the default deadline of the service applies.
"""

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import report
from benchmarks.running_service import running_service
from benchmarks.serving_load import Reply, Target, closed_loop, latency, open_loop, rate_of
from benchmarks.street_images import photographs
from service.settings import Settings

CALLERS = 16
FILLING = 1 / 3  # share of the time of the arrivals in which the queue fills


def capacity_of(target: Target, seconds: float) -> float:
    """Successful answers per second with CALLERS waiting callers."""
    return rate_of(closed_loop(target, CALLERS, seconds), seconds / 6, seconds)


def table_row(load: float, rate: float, replies: Sequence[Reply], seconds: float, capacity: float) -> dict[str, Any]:
    """The row of one load."""
    goodput = rate_of(replies, seconds * FILLING, seconds)
    statuses = Counter(reply.status for reply in replies)
    return {
        "load": f"{load:g} x capacity",
        "arrivals a second": rate,
        "goodput": goodput,
        "of capacity": goodput / capacity,
        **latency(replies),
        "accepted": statuses[200],
        "refused (429)": statuses[429],
        "too late (504)": statuses[504],
        "failed": len(replies) - statuses[200] - statuses[429] - statuses[504],
    }


def main() -> None:
    """Start the service, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15, help="duration of the arrivals at each load")
    parser.add_argument("--loads", type=float, nargs="+", default=[0.5, 0.9, 1.5, 2, 3])
    parser.add_argument("--deadline", type=float, help="SEGSORT_DEADLINE_S")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.deadline is not None:
        os.environ["SEGSORT_DEADLINE_S"] = str(arguments.deadline)
    settings, rows, seconds = Settings(), [], arguments.seconds
    with tempfile.TemporaryDirectory() as data, running_service(Path(data)) as address:
        target = Target(f"{address}/segment", photographs())
        capacity_of(target, min(seconds, 3.0))  # to warm up
        capacities = [capacity_of(target, seconds)]
        if not capacities[0]:
            raise RuntimeError(f"{CALLERS} callers got no answer in {seconds} s; raise --seconds")
        found = [(load, open_loop(target, load * capacities[0], seconds)) for load in arguments.loads]
        capacities.append(capacity_of(target, seconds))
    capacity = sum(capacities) / 2
    rows = [table_row(load, load * capacities[0], replies, seconds, capacity) for load, replies in found]
    details = {
        "capacities": capacities,
        "seconds": seconds,
        "deadline_s": settings.deadline_s,
        "queue_pixels": settings.queue_pixels,
    }
    report("serving_overload", rows, details, arguments.out)


if __name__ == "__main__":
    main()
