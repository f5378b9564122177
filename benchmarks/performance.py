"""Writes docs/performance.md and docs/performance-details.md from the JSON files of the benchmarks.

python -m benchmarks.performance [--results out/benchmarks]

The command first copies the newest JSON files to docs/performance. The pages are then made from the copies, so that the
repository alone is enough to write them again.
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
CARD = Path("model_store/releases/streets/card.json")
DOCUMENT, DETAILS = Path("docs/performance.md"), Path("docs/performance-details.md")
HEAD = """# Performance

The figures that decide, each beside its target. [Details](performance-details.md) has all tables, with the commit and
the machine of each. No figure is typed by hand: `python -m benchmarks.performance` writes both pages from the JSON
files in [docs/performance](performance), which the benchmarks write.

A ratio compares two things that were measured in turn within one run. Times of different rows are from different runs.
"""
DETAILS_HEAD = """# Performance: details

`python -m benchmarks.performance` writes this page from the JSON files in [docs/performance](performance), which the
benchmarks write. [Performance](performance.md) has the figures that decide.

Rows of one table were measured in turn within one run, so ratios are more reliable than times. Do not compare times of
two tables. A load average far above the number of cores means that other programs ran at the same time. A commit that
is not in the history of this repository was joined with later ones: its name only tells measurements apart.
"""
EARLIER = (
    "**Measured with an earlier bundled release**, before the present one was built: times, rates and memory of the "
    "present one differ."
)
OWED = """## Owed

No GPU was at hand. On a machine with one, these rows are still to be measured:

| what | target | command |
| --- | --- | --- |
| time of the network / time of network, sorting and search | at least 0.900 | `segsort evaluate --device cuda` |
| pixel sorting: time of flash-kmeans / segsort | at least 2.00 | `python -m benchmarks.pixel_sorting --device cuda` |
"""

Results = Mapping[str, Mapping[str, Any]]  # documents of the benchmarks by name
COMMANDS = {section.benchmark: section.command for section in SECTIONS}


@dataclass(frozen=True)
class Bar:
    """A target: `find` reads a value from the document of a benchmark; `least` and `most` bound it."""

    what: str
    benchmark: str
    find: Callable[[Mapping[str, Any]], float]
    least: float | None = None
    most: float | None = None

    def row(self, results: Results) -> list[str]:
        """A row of the table of targets: what, target, measured value, whether the target is reached, command."""
        return [*self._judged(results), f"`{COMMANDS[self.benchmark]}`" if self.benchmark in COMMANDS else "-"]

    def _judged(self, results: Results) -> list[str]:
        wanted = f"at least {figure(self.least)}" if self.least is not None else f"at most {figure(self.most)}"
        if self.benchmark not in results:
            return [self.what, wanted, "not measured", "-"]
        value = self.find(results[self.benchmark])
        reached = value >= self.least if self.least is not None else self.most is not None and value <= self.most
        return [self.what, wanted, figure(value), "yes" if reached else "**no**"]


def _row(result: Mapping[str, Any], **wanted: Any) -> Mapping[str, Any]:
    """The first row whose columns have these values."""
    return next(row for row in result["rows"] if all(row[name] == value for name, value in wanted.items()))


def _sorting(pixels: str) -> Bar:
    def find(result: Mapping[str, Any]) -> float:
        rows = [row for row in result["rows"] if row["pixels"] == pixels]
        return min(float(row["of segsort"]) for row in rows if not row["sorted by"].startswith("segsort"))

    what = f"pixel sorting of {pixels}: time of the fastest peer / segsort, lowest over images"
    return Bar(what, "pixel_sorting", find, least=1.5)


def _peer(name: str) -> Bar:
    def find(result: Mapping[str, Any]) -> float:
        found = [float(row["segsort's"]) for row in result["rows"] if row["served by"].startswith(name)]
        return min(found) if found else float("nan")

    return Bar(f"throughput, 16 callers: segsort / {name} at its best", "serving_peers", find, least=1.4)


def _worst_cosine(result: Mapping[str, Any]) -> float:
    """The largest difference between the mean cosine of a peer and that of segsort."""
    own = {(row["pixels"], row["image"]): row["mean cosine"] for row in result["rows"] if row["sorted by"] == "segsort"}
    return max(float(row["mean cosine"]) - float(own[row["pixels"], row["image"]]) for row in result["rows"])


BARS = (
    Bar(
        "one request: time / time at commit f27f29e",
        "beside",
        lambda result: float(result["rows"][0]["ratio"]),
        most=0.7,
    ),
    Bar(
        "network, all cores: time in bytes / in float32",
        "precision",
        lambda result: float([row for row in result["rows"] if row["what"] == "network"][-1]["ratio"]),
        most=0.6,
    ),
    Bar(
        "a prediction, all cores: time with pixel sorting in bytes / in float32",
        "precision",
        lambda result: float([row for row in result["rows"] if row["what"].startswith("prediction")][-1]["ratio"]),
        most=0.98,
    ),
    Bar(
        "one request: time / the network alone in float32",
        "latency",
        lambda result: float(_row(result, what="POST /segment")["of session.run"]),
        most=1.35,
    ),
    Bar(
        "throughput, 16 callers / the loop in process",
        "serving",
        lambda result: float(_row(result, what="HTTP, 16 callers")["of the loop"]),
        least=0.9,
    ),
    _sorting("120x90"),
    _sorting("128x128"),
    _sorting("480x360"),
    Bar("pixel sorting: mean cosine of the best peer - segsort", "pixel_sorting", _worst_cosine, most=0.001),
    _peer("LitServe"),
    _peer("BentoML"),
    Bar(
        "goodput / capacity at a load of 3 x capacity",
        "serving_overload",
        lambda result: float(_row(result, load="3 x capacity")["of capacity"]),
        least=0.9,
    ),
    Bar(
        "p99 latency / deadline at a load of 3 x capacity",
        "serving_overload",
        lambda result: (
            float(_row(result, load="3 x capacity")["p99_ms"]) / 1000 / float(result["details"]["deadline_s"])
        ),
        most=1.0,
    ),
    Bar(
        "retrieval, 1,000,000 prototypes: time of torch.topk / the index",
        "retrieval",
        lambda result: float(_row(result, prototypes=1_000_000, what="torch.topk")["of index"]),
        least=1.5,
    ),
    Bar(
        "retrieval, 1,000,000 prototypes: recall of the 20 nearest",
        "retrieval",
        lambda result: float(_row(result, prototypes=1_000_000, what="index")["recall"]),
        least=0.99,
    ),
    Bar(
        "memory after the last request / after 500 requests",
        "serving_memory",
        lambda result: float(result["rows"][-1]["of the first"]),
        most=1.05,
    ),
    Bar(
        "seconds from process start to ready, loops compiled",
        "serving_start",
        lambda result: float(_row(result, start="again")["median_ms"]) / 1000,
        most=4.0,
    ),
)


def figure(value: object) -> str:
    """Format a value for a table; a number gets about three significant figures."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{places}f}"


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; columns of numbers are aligned right."""
    cells = [[figure(value) for value in row] for row in rows]
    names = list(columns)
    right = [all(_is_number(row[n]) for row in cells) for n in range(len(names))]
    lines = [names, ["---:" if number else "---" for number in right], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _is_number(text: str) -> bool:
    return text == "-" or text.replace(",", "").replace(".", "", 1).removeprefix("-").isdigit()


def render(results: Results, built: str = "") -> str:
    """The page of the figures that decide, as Markdown.

    Args:
        results: documents of the benchmarks by name.
        built: when the bundled release was built, ISO 8601; figures of releases before it are said to be so.
    """
    targets = table(("what", "target", "measured", "reached", "command"), (bar.row(results) for bar in BARS))
    earlier = {section.command: None for section in SECTIONS if _is_earlier(section, results, built)}
    of_bars = [f"`{command}`" for command in earlier if any(COMMANDS.get(bar.benchmark) == command for bar in BARS)]
    note = f"Measured with an earlier bundled release than the present one: the rows of {', '.join(of_bars)}.\n"
    return "\n".join([HEAD, "## Targets\n", targets, "", *([note] if of_bars else []), OWED])


def _is_earlier(section: Section, results: Results, built: str) -> bool:
    """Whether a section shows figures of an earlier bundled release."""
    result = results.get(section.benchmark)
    return section.of_release and result is not None and str(result["circumstances"]["date"]) < built


def render_details(results: Results, built: str = "") -> str:
    """The page of all tables, as Markdown; see `render`."""
    parts = [DETAILS_HEAD.rstrip("\n")]
    for section in SECTIONS:
        parts += ["", _section(section, results.get(section.benchmark))]
        parts += ["", EARLIER] if _is_earlier(section, results, built) else []
    return "\n".join(parts) + "\n"


def _section(section: Section, result: Mapping[str, Any] | None) -> str:
    head = f"## {section.title}\n\n{section.text}\n"
    if result is None:
        return f"{head}\n`{section.command}`: not measured yet."
    rows = result["rows"]
    names = [name for name in rows[0] if name not in section.left_out]
    where = result["circumstances"]
    changes = ", with uncommitted changes" if where.get("uncommitted_changes") else ""
    on = where.get("machine") or f"{where['cores']} cores, {where['processor']}"
    machine = f"{on}, {where['memory_gib']} GiB{_load(result)}"
    note = f"`{section.command}`, commit {where['commit'][:9]}{changes}, {machine}, {where['date']}."
    extra = section.note(result["details"]) if section.note else ""
    headings = [section.headings.get(name, name.replace("_ms", ", ms")) for name in names]
    shown = table(headings, ([row[name] for name in names] for row in rows))
    return f"{head}\n{shown}\n\n{note}{f' {extra}' if extra else ''}"


def _load(result: Mapping[str, Any]) -> str:
    """The load average, for documents that have it."""
    return f", load average {result['load']:g} at the end" if "load" in result else ""


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """Read all documents of a folder, by the name of their benchmark."""
    documents = (json.loads(path.read_text()) for path in sorted(folder.glob("*.json")))
    return {result["benchmark"]: result for result in documents}


def built() -> str:
    """When the bundled release of streets was built."""
    return str(json.loads(CARD.read_text())["created"])


def keep(results: Path, kept: Path) -> None:
    """Copy the documents that the page shows."""
    kept.mkdir(parents=True, exist_ok=True)
    for section in SECTIONS:
        source = results / f"{section.benchmark}.json"
        if source.is_file():
            shutil.copyfile(source, kept / source.name)


def main() -> None:
    """Copy the documents, render the pages and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files of the benchmarks")
    arguments = parser.parse_args()
    keep(arguments.results, KEPT)
    results = read(KEPT)
    DOCUMENT.write_text(render(results, built()), encoding="utf-8")
    DETAILS.write_text(render_details(results, built()), encoding="utf-8")
    print(f"written to {DOCUMENT} and {DETAILS}")


if __name__ == "__main__":
    main()
