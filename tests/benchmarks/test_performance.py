import json
from pathlib import Path

import pytest

from benchmarks.performance import (
    BARS,
    DETAILS,
    DOCUMENT,
    EARLIER,
    KEPT,
    Bar,
    built,
    figure,
    keep,
    read,
    render,
    render_details,
    table,
)
from benchmarks.performance_sections import SECTIONS

WHERE = {
    "commit": "0123456789abcdef",
    "uncommitted_changes": False,
    "machine": "2 cores, a processor",
    "memory_gib": 23.5,
    "date": "2026-01-01T00:00:00+00:00",
}


def test_the_document_is_what_the_kept_results_give() -> None:
    pages = (DOCUMENT, render(read(KEPT), built())), (DETAILS, render_details(read(KEPT), built()))
    for page, rendered in pages:
        assert page.read_text(encoding="utf-8") == rendered, "run `python -m benchmarks.performance`"


def test_every_bar_reads_a_benchmark_that_has_a_section() -> None:
    assert {bar.benchmark for bar in BARS} <= {section.benchmark for section in SECTIONS}


@pytest.mark.parametrize(("value", "text"), [(0.91234, "0.912"), (1.35, "1.35"), (12.345, "12.3"), (4321.0, "4,321")])
def test_a_number_keeps_about_three_figures(value: float, text: str) -> None:
    assert figure(value) == text


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    lines = table(("what", "ms"), [("a", 1.5), ("b", "-")]).splitlines()
    assert lines[1] == "| --- | ---: |"


@pytest.mark.parametrize(("value", "reached"), [(1.6, "yes"), (1.4, "**no**")])
def test_a_bar_that_is_missed_is_said_to_be(value: float, reached: str) -> None:
    bar = Bar("speed", "a benchmark", lambda result: float(result["rows"][0]["x"]), least=1.5)
    row = bar.row({"a benchmark": {"rows": [{"x": value}]}})
    assert row == ["speed", "at least 1.50", figure(value), reached, "-"]


def test_what_was_not_measured_is_said_to_be_missing() -> None:
    assert render_details({}).count("not measured yet") == len(SECTIONS)
    assert render({}).count("| not measured | - |") == len(BARS)
    assert "No GPU was at hand" in render({})


def test_a_table_names_its_command_its_commit_and_its_machine(tmp_path: Path) -> None:
    rows = [{"start": name, "starts": 1, "median_ms": ms} for name, ms in (("first", 9000.0), ("again", 3500.0))]
    result = {"benchmark": "serving_start", "rows": rows, "details": {}, "circumstances": WHERE}
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "serving_start.json").write_text(json.dumps(result))
    keep(tmp_path / "found", tmp_path / "kept")
    document = render_details(read(tmp_path / "kept"))
    assert "| again | 1 | 3,500 |" in document
    assert "`python -m benchmarks.serving_start`, commit 012345678, 2 cores, a processor, 23.5 GiB" in document
    targets = render(read(tmp_path / "kept"))
    assert "| at most 4.00 | 3.50 | yes | `python -m benchmarks.serving_start` |" in targets


@pytest.mark.parametrize(
    ("benchmark", "release", "said"),
    [
        ("serving_start", "2026-01-02T00:00:00+00:00", True),
        ("serving_start", "2025-12-31T00:00:00+00:00", False),
        ("live_index", "2026-01-02T00:00:00+00:00", False),  # it needs no release
    ],
)
def test_figures_of_an_earlier_release_are_said_to_be(benchmark: str, release: str, said: bool) -> None:
    rows = [{"start": "again", "starts": 1, "median_ms": 3500.0}]
    results = {benchmark: {"benchmark": benchmark, "rows": rows, "details": {}, "circumstances": WHERE}}
    assert (EARLIER in render_details(results, release)) is said
    assert ("an earlier bundled release" in render(results, release)) is said
