"""What every benchmark needs: interleaved timing, where and with what it ran, a table and a JSON file."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from index_builder.environment import circumstances

RESULTS = Path("out/benchmarks")
REST = 0.03  # seconds


def interleave(
    tasks: Mapping[str, Callable[[], object]], rounds: int, warmup: int, block: int = 1
) -> dict[str, list[float]]:
    """Time tasks in turn, so that a machine that slows down or speeds up does so for all of them.

    Each turn is preceded by a rest: the threads of one library go on spinning for a few milliseconds after its work
    and would take the cores from the next one. A core that has rested is slow for a while: with a block, a turn is so
    many calls on end after one that is not measured, as of a caller who asks again and again.

    Args:
        tasks: what to call, by name. The order alternates from round to round: no task always follows the same one.
        rounds: measured turns of each task, at least 1.
        warmup: turns of each task beforehand that are not measured.
        block: measured calls in a turn; 1: a turn is one call.

    Returns:
        The seconds of each measured call, by name.

    Raises:
        ValueError: if `rounds` is below 1 or `warmup` negative.
    """
    if rounds < 1 or warmup < 0:
        raise ValueError(f"rounds={rounds}, warmup={warmup}: ask for one round or more and no negative warmup")
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(warmup + rounds):
        for name in list(tasks)[:: 1 if number % 2 == 0 else -1]:
            time.sleep(REST)
            if block > 1:
                tasks[name]()
            for _ in range(block):
                start = time.perf_counter()
                tasks[name]()
                elapsed = time.perf_counter() - start
                if number >= warmup:
                    seconds[name].append(elapsed)
    return seconds


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 10th and 90th percentile in milliseconds."""
    low, median, high = np.percentile(np.asarray(seconds) * 1000, [10, 50, 90])
    return {"median_ms": float(median), "p10_ms": float(low), "p90_ms": float(high)}


def report(name: str, rows: Sequence[Mapping[str, Any]], details: Mapping[str, Any], out: Path | None = None) -> Path:
    """Print rows as a table and write them, the details and the circumstances as JSON.

    Args:
        name: of the benchmark; the file is `name`.json.
        rows: one mapping a line of the table, all with the same keys.
        details: what else was set or found.
        out: folder of the file; None: out/benchmarks below the working folder.

    Returns:
        Where the JSON was written.
    """
    found = circumstances()
    table = Table(title=f"{name}, {found['processor']}, {found['cores']} cores, commit {found['commit'][:9]}")
    for column in rows[0]:
        table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=110).print(table)
    path = (out or RESULTS) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    load = round(os.getloadavg()[0], 1)  # much more than the cores: other work ran beside, and the figures waver
    document = {"benchmark": name, "rows": list(rows), "details": dict(details), "circumstances": found, "load": load}
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written to {path}")
    return path
