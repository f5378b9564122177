"""Compiling before the first answer: what is compiled, where, and what the log says."""

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segsort.loops import begin_compiling, compiling
from segsort.loops.compiling import Step


class Recorder:
    """Steps that only note that they were run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kept: bool = False) -> None:
        self.run: list[str] = []
        self.processes: list[list[str]] = []
        self.later, self.complete = threading.Event(), threading.Event()
        self.killed = 0
        cpu, both = frozenset({"cpu"}), frozenset({"cpu", "device"})
        steps = (
            self.step("sort", 3, cpu), self.step("join", 2, both), self.step("encode", 1, both), self.step("rest", 1),
        )  # fmt: skip
        monkeypatch.setattr(compiling, "STEPS", steps)
        monkeypatch.setattr(compiling, "loops_are_kept", lambda: kept)
        monkeypatch.setattr(compiling, "_start_helper", self.start)
        monkeypatch.setattr(compiling, "mark_complete", self.complete.set)

    def step(self, name: str, cost: float, first: frozenset[str] = frozenset()) -> Step:
        def run() -> None:
            self.run.append(name)
            if name == "rest":
                self.later.set()

        return Step(name, run, cost, first)

    def start(self, steps: Sequence[Step], progress: Any) -> Any:
        self.processes.append([step.name for step in steps])
        thread = threading.Thread(target=lambda: [progress.begin(step.name) for step in steps])
        thread.start()
        return SimpleNamespace(thread=thread, process=SimpleNamespace(kill=self.kill), cancelled=False)

    def kill(self) -> None:
        self.killed += 1


def test_where_loops_are_kept_nothing_is_compiled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(monkeypatch, kept=True)
    with caplog.at_level(logging.INFO, logger="segsort.loops"), begin_compiling(4):
        pass
    assert not recorder.run
    assert not recorder.processes
    assert not caplog.messages


def test_one_process_compiles_what_the_first_answer_needs_and_then_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    with begin_compiling(1):
        pass
    assert recorder.run[:3] == ["sort", "join", "encode"]
    assert recorder.later.wait(30)
    assert recorder.complete.wait(30)
    assert not recorder.processes


def test_a_block_that_fails_ends_the_other_processes_and_compiles_no_further_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recorder = Recorder(monkeypatch)
    monkeypatch.setattr(compiling, "folder_of_loops", lambda: tmp_path)
    with pytest.raises(ValueError, match="no release"), begin_compiling(2):
        raise ValueError("no release")
    assert recorder.killed == 1
    assert not recorder.later.wait(0.2)
    assert not recorder.complete.is_set()


def test_a_step_that_fails_leaves_the_loops_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)

    def fail() -> None:
        recorder.later.set()
        raise RuntimeError("no compiler")

    monkeypatch.setattr(compiling, "STEPS", (*compiling.STEPS[:3], Step("rest", fail, 1)))
    with begin_compiling(1):
        pass
    assert recorder.later.wait(30)
    assert not recorder.complete.wait(0.2)


def test_several_processes_share_the_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recorder = Recorder(monkeypatch)
    monkeypatch.setattr(compiling, "folder_of_loops", lambda: tmp_path)
    with begin_compiling(2):
        pass
    assert recorder.run[:1] == ["sort"]
    assert recorder.processes == [["join", "encode"]]


def test_without_a_folder_one_process_compiles_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    monkeypatch.setattr(compiling, "folder_of_loops", lambda: None)
    with begin_compiling(8):
        pass
    assert not recorder.processes
    assert recorder.run[:3] == ["sort", "join", "encode"]


def test_a_device_needs_fewer_loops_first(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    with begin_compiling(1, on_device=True):
        pass
    assert recorder.run[:2] == ["join", "encode"]
    assert recorder.later.wait(30)
    assert set(recorder.run) == {"join", "encode", "sort", "rest"}


def test_progress_is_logged_over_all_processes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    Recorder(monkeypatch)
    monkeypatch.setattr(compiling, "folder_of_loops", lambda: tmp_path)
    with caplog.at_level(logging.INFO, logger="segsort.loops"), begin_compiling(2):
        pass
    assert caplog.messages[0].startswith("compiling loops for this processor")
    lines = caplog.messages[1:]
    assert [line.split(":")[0] for line in lines] == [f"compiling loops {n} of 3" for n in (1, 2, 3)]
    assert {line.split(": ")[1] for line in lines} == {"sort", "join", "encode"}


def test_a_step_that_fails_is_logged_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def fail() -> None:
        raise RuntimeError("no compiler")

    compiling._run([Step("bad", fail, 1), Step("good", lambda: done.append("good"), 1)], lambda name: None)
    assert done == ["good"]
    assert "loops could not be compiled: bad" in caplog.text
    assert "no compiler" in caplog.text


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shares_hold_every_step_once_and_cost_about_the_same(count: int) -> None:
    steps = [Step(str(n), lambda: None, cost) for n, cost in enumerate((1, 5, 2, 2, 4, 1))]
    shares = compiling._shares(steps, count)
    assert sorted(step.name for share in shares for step in share) == sorted(step.name for step in steps)
    costs = [sum(step.cost for step in share) for share in shares]
    assert max(costs) <= 15 / count + 5


def test_more_processes_than_steps_are_not_started() -> None:
    assert len(compiling._shares([Step("only", lambda: None, 1)], 8)) == 1


def test_another_process_compiles_into_the_folder_of_this_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / compiling.folder_of_loops().name  # type: ignore[union-attr]
    monkeypatch.setattr(compiling, "folder_of_loops", lambda: folder)
    begun: list[str] = []
    monkeypatch.setattr(compiling._Progress, "begin", lambda self, name: begun.append(name))
    steps = [step for step in compiling.STEPS if step.name == "image planes"]
    other = compiling._start_helper(steps, compiling._Progress(1))
    assert other is not None
    other.thread.join(200)
    assert begun == ["image planes"]
    compiled = {file.name.split("-")[0] for file in folder.glob("*.nbc")}
    assert "planes.scale_planes" in compiled
    assert {name.split(".")[0] for name in compiled} == {"planes", "resizing", "sharing"}


def test_a_process_that_cannot_be_started_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert compiling._start_helper(compiling.STEPS[:1], compiling._Progress(1)) is None


def test_a_process_that_fails_is_logged_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    popen = subprocess.Popen

    def false(command: list[str], **options: Any) -> Any:
        return popen(["sh", "-c", "echo no numba here >&2; exit 3"], **options)

    monkeypatch.setattr(compiling.subprocess, "Popen", false)
    other = compiling._start_helper(compiling.STEPS[:1], compiling._Progress(1))
    assert other is not None
    other.thread.join(30)
    assert not other.thread.is_alive()
    assert "ended with status 3 (no numba here)" in caplog.text


@pytest.mark.parametrize("step", compiling.STEPS, ids=lambda step: step.name)
def test_every_step_runs(step: Step) -> None:
    step.run()


def test_names_of_steps_are_printed_as_they_begin(capsys: pytest.CaptureFixture[str]) -> None:
    compiling.main(["image planes", "masks"])
    assert capsys.readouterr().out.splitlines() == ["image planes", "masks"]


def test_without_names_every_step_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch)
    compiling.main([])
    assert recorder.run == ["sort", "join", "encode", "rest"]
    assert recorder.complete.is_set()


def test_a_helper_ends_with_the_process_that_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    parents = iter([7, 7, 1])
    monkeypatch.setattr(compiling.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(compiling.os, "_exit", ended.append)
    monkeypatch.setattr(compiling.time, "sleep", lambda seconds: None)
    compiling._end_with(7)
    assert ended == [1]
    assert next(parents, None) is None


def test_at_most_four_processes_compile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recorder = Recorder(monkeypatch)
    steps = tuple(Step(str(n), lambda: None, 1, frozenset({"cpu"})) for n in range(16))
    monkeypatch.setattr(compiling, "STEPS", steps)
    monkeypatch.setattr(compiling, "folder_of_loops", lambda: tmp_path)
    with begin_compiling(64):
        pass
    assert [len(names) for names in recorder.processes] == [4, 4, 4]
