"""Tools of all benchmarks: interleaved timing, and results with their circumstances as a table and a JSON file."""

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
REST = 0.03  # seconds between turns


def interleave(
    tasks: Mapping[str, Callable[[], object]], rounds: int, warmup: int, block: int = 1
) -> dict[str, list[float]]:
    """Time tasks in turn, so that changes of the machine's speed affect all of them.

    There is a pause before each turn, because the threads of some libraries keep spinning for a few milliseconds after
    their work and would occupy the cores of the next task. A core is slow for a short time after a pause. With `block`
    above 1, each turn therefore starts with one call that is not measured, followed by that many measured calls.

    Args:
        tasks: functions by name. The order alternates from round to round.
        rounds: number of measured turns of each task, at least 1.
        warmup: number of turns of each task before the measurement.
        block: number of measured calls in a turn.

    Returns:
        The seconds of each measured call, by name.

    Raises:
        ValueError: if `rounds` is below 1 or `warmup` is negative.
    """
    if rounds < 1 or warmup < 0:
        raise ValueError(f"rounds={rounds}, warmup={warmup}: rounds must be at least 1 and warmup not negative")
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
    """Median, 10th and 90th percentile of times in seconds, as milliseconds."""
    low, median, high = np.percentile(np.asarray(seconds) * 1000, [10, 50, 90])
    return {"median_ms": float(median), "p10_ms": float(low), "p90_ms": float(high)}


def report(name: str, rows: Sequence[Mapping[str, Any]], details: Mapping[str, Any], out: Path | None = None) -> Path:
    """Print rows as a table, and write rows, details and circumstances as JSON.

    Args:
        name: name of the benchmark and of the file, `name`.json.
        rows: rows of the table, all with the same keys; at least one.
        details: settings and further results.
        out: folder of the file; None: out/benchmarks in the working folder.

    Returns:
        Path of the JSON file.
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
    load = round(os.getloadavg()[0], 1)  # if it is far above the number of cores, other work disturbed the figures
    document = {"benchmark": name, "rows": list(rows), "details": dict(details), "circumstances": found, "load": load}
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written to {path}")
    return path
