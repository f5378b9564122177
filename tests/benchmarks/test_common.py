import json
import time
from pathlib import Path

import pytest

from benchmarks.common import REST, interleave, report, spread
from index_builder.environment import circumstances


def test_tasks_take_turns_and_the_order_alternates() -> None:
    calls: list[str] = []
    seconds = interleave({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2, warmup=1)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(taken) for name, taken in seconds.items()} == {"a": 2, "b": 2}


def test_a_turn_may_be_several_calls_of_which_the_first_does_not_count() -> None:
    calls: list[str] = []
    tasks = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds = interleave(tasks, rounds=2, warmup=0, block=2)
    assert calls == [*"aaa", *"bbb", *"bbb", *"aaa"]
    assert {name: len(taken) for name, taken in seconds.items()} == {"a": 4, "b": 4}


def test_the_rest_between_tasks_is_not_measured() -> None:
    seconds = interleave({"sleep": lambda: time.sleep(0.002)}, rounds=3, warmup=0)["sleep"]
    assert all(taken >= 0.002 for taken in seconds)
    assert min(seconds) < REST


@pytest.mark.parametrize(("rounds", "warmup"), [(0, 1), (1, -1)])
def test_a_benchmark_without_rounds_is_refused(rounds: int, warmup: int) -> None:
    with pytest.raises(ValueError, match=f"rounds={rounds}, warmup={warmup}"):
        interleave({}, rounds=rounds, warmup=warmup)


def test_spread_is_in_milliseconds() -> None:
    assert spread([0.001, 0.002, 0.003]) == pytest.approx({"median_ms": 2.0, "p10_ms": 1.2, "p90_ms": 2.8})


def test_the_report_says_where_and_with_what_it_ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = report("numbers", [{"what": "a", "median_ms": 1.25}], {"rounds": 3}, tmp_path / "new")
    document = json.loads(path.read_text())
    assert document["rows"] == [{"what": "a", "median_ms": 1.25}]
    assert document["details"] == {"rounds": 3}
    assert set(document["circumstances"]) == set(circumstances())
    assert document["circumstances"]["cores"] >= 1
    assert document["circumstances"]["processor"]
    printed = capsys.readouterr().out
    assert "1.250" in printed
    assert str(path) in printed.replace("\n", "")
