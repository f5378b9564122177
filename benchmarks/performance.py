"""Writes docs/performance.md from what the benchmarks found.

python -m benchmarks.performance [--results out/benchmarks]

What they found last is copied to docs/performance first, so that the document can be written again from the repository.
"""

import argparse
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS
from benchmarks.performance_sections import SECTIONS, Section

KEPT = Path("docs/performance")
DOCUMENT = Path("docs/performance.md")
HEAD = """# Performance

Written by `python -m benchmarks.performance` from the JSON files in [docs/performance](performance), which the
benchmarks wrote; no figure is typed. Each table names its command, the commit and the machine. What is compared was
measured in turn within one run: ratios are worth more than times, and two tables are not compared with each other.
A load average far above the number of cores says that other work ran beside, of which the figures waver.
"""

Results = Mapping[str, Mapping[str, Any]]  # what the benchmarks wrote, by name


@dataclass(frozen=True)
class Bar:
    """Something that is aimed at; least and most bound what `find` reads from the result of a benchmark."""

    what: str
    benchmark: str
    find: Callable[[Mapping[str, Any]], float]
    least: float | None = None
    most: float | None = None

    def row(self, results: Results) -> list[str]:
        """what, wanted, found, whether it is reached."""
        wanted = f"at least {figure(self.least)}" if self.least is not None else f"at most {figure(self.most)}"
        if self.benchmark not in results:
            return [self.what, wanted, "not measured", "-"]
        value = self.find(results[self.benchmark])
        reached = value >= self.least if self.least is not None else self.most is not None and value <= self.most
        return [self.what, wanted, figure(value), "yes" if reached else "**no**"]


def _row(result: Mapping[str, Any], **wanted: Any) -> Mapping[str, Any]:
    """The row of a table in which columns have these values."""
    return next(row for row in result["rows"] if all(row[name] == value for name, value in wanted.items()))


def _sorting(pixels: str) -> Bar:
    def find(result: Mapping[str, Any]) -> float:
        rows = [row for row in result["rows"] if row["pixels"] == pixels]
        return min(float(row["of segsort"]) for row in rows if not row["sorted by"].startswith("segsort"))

    what = f"pixel sorting of {pixels}: the fastest other / segsort, on the image where it is least"
    return Bar(what, "pixel_sorting", find, least=1.5)


def _peer(name: str) -> Bar:
    def find(result: Mapping[str, Any]) -> float:
        found = [float(row["segsort's"]) for row in result["rows"] if row["served by"].startswith(name)]
        return min(found) if found else float("nan")

    return Bar(f"images a second, 16 callers: segsort / {name} at its best", "serving_peers", find, least=1.1)


def _worst_cosine(result: Mapping[str, Any]) -> float:
    """How much the mean cosine of segsort lies below that of a peer, at most."""
    own = {(row["pixels"], row["image"]): row["mean cosine"] for row in result["rows"] if row["sorted by"] == "segsort"}
    return max(float(row["mean cosine"]) - float(own[row["pixels"], row["image"]]) for row in result["rows"])


BARS = (
    Bar(
        "one request / the network's session.run",
        "latency",
        lambda result: float(_row(result, what="POST /segment")["of session.run"]),
        most=1.35,
    ),
    Bar(
        "images a second, 16 callers / the loop in process",
        "serving",
        lambda result: float(_row(result, what="HTTP, 16 callers")["of the loop"]),
        least=0.9,
    ),
    _sorting("120x90"),
    _sorting("128x128"),
    _sorting("480x360"),
    Bar("pixel sorting: mean cosine of any other above segsort's", "pixel_sorting", _worst_cosine, most=0.001),
    _peer("LitServe"),
    _peer("BentoML"),
    Bar(
        "goodput / capacity at three times the capacity",
        "serving_overload",
        lambda result: float(_row(result, load="3 x capacity")["of capacity"]),
        least=0.9,
    ),
    Bar(
        "99th percentile of the answered at three times the capacity / the deadline",
        "serving_overload",
        lambda result: (
            float(_row(result, load="3 x capacity")["p99_ms"]) / 1000 / float(result["details"]["deadline_s"])
        ),
        most=1.0,
    ),
    Bar(
        "retrieval among a million: torch.topk / the index",
        "retrieval",
        lambda result: float(_row(result, prototypes=1_000_000, what="torch.topk")["of index"]),
        least=1.5,
    ),
    Bar(
        "retrieval among a million: recall of the 20 nearest",
        "retrieval",
        lambda result: float(_row(result, prototypes=1_000_000, what="index")["recall"]),
        least=0.99,
    ),
    Bar(
        "memory after the last request / after the first 500",
        "serving_memory",
        lambda result: float(result["rows"][-1]["of the first"]),
        most=1.05,
    ),
    Bar(
        "seconds from the process' start to ready, kernels compiled",
        "serving_start",
        lambda result: float(_row(result, start="again")["median_ms"]) / 1000,
        most=4.0,
    ),
)


def figure(value: object) -> str:
    """A value as it stands in a table: about three figures of a number."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{places}f}"


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table of Markdown; numbers to the right."""
    cells = [[figure(value) for value in row] for row in rows]
    names = list(columns)
    right = [all(_is_number(row[n]) for row in cells) for n in range(len(names))]
    lines = [names, ["---:" if number else "---" for number in right], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _is_number(text: str) -> bool:
    return text == "-" or text.replace(",", "").replace(".", "", 1).removeprefix("-").isdigit()


def render(results: Results) -> str:
    """The document."""
    parts = [HEAD, "## What is aimed at\n", table(("", "aim", "found", "reached"), (bar.row(results) for bar in BARS))]
    for section in SECTIONS:
        parts += ["", _section(section, results.get(section.benchmark))]
    return "\n".join(parts) + "\n"


def _section(section: Section, result: Mapping[str, Any] | None) -> str:
    head = f"## {section.title}\n\n{section.text}\n"
    if result is None:
        return f"{head}\n`{section.command}`: not measured yet."
    rows = result["rows"]
    names = [name for name in rows[0] if name not in section.left_out]
    where = result["circumstances"]
    changes = ", with changes not committed" if where.get("uncommitted_changes") else ""
    on = where.get("machine") or f"{where['cores']} cores, {where['processor']}"
    machine = f"{on}, {where['memory_gib']} GiB{_load(result)}"
    note = f"`{section.command}`, commit {where['commit'][:9]}{changes}, {machine}, {where['date']}."
    extra = section.note(result["details"]) if section.note else ""
    shown = table((name.replace("_ms", ", ms") for name in names), ([row[name] for name in names] for row in rows))
    return f"{head}\n{shown}\n\n{note}{f' {extra}' if extra else ''}"


def _load(result: Mapping[str, Any]) -> str:
    """What else the machine did, as far as it is known."""
    return f", load average {result['load']:g} at the end" if "load" in result else ""


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """Results by name."""
    found = (json.loads(path.read_text()) for path in sorted(folder.glob("*.json")))
    return {result["benchmark"]: result for result in found}


def keep(results: Path, kept: Path) -> None:
    """Copy the results that the document shows."""
    kept.mkdir(parents=True, exist_ok=True)
    for section in SECTIONS:
        source = results / f"{section.benchmark}.json"
        if source.is_file():
            shutil.copyfile(source, kept / source.name)


def main() -> None:
    """Copy, render and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the benchmarks wrote to")
    arguments = parser.parse_args()
    keep(arguments.results, KEPT)
    DOCUMENT.write_text(render(read(KEPT)), encoding="utf-8")
    print(f"written to {DOCUMENT}")


if __name__ == "__main__":
    main()
