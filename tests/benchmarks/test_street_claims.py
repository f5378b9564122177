"""The queue of trainings behind the claims about streets: folds, tuning, equal time, and going on after a stop."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.street_claims import CPU, DRIVES, RATES, RECIPE, SHORT, STEPS, Queue, Trained, _main, train, tuning
from model_store.labelled.camvid import Part

ROOT, WEIGHTS = Path("camvid"), Path("weights.safetensors")


def pretend_finished(run: Trained, out: Path, cpu_s: float, held: float | None = None) -> None:
    """Write what a finished run leaves, so that the queue does not train it."""
    folder = run.folder(out)
    (folder / "logs").mkdir(parents=True)
    (folder / CPU).write_text(json.dumps({"cpu_s": cpu_s, "finished": True, "steps": run.steps}))
    (folder / RECIPE).write_text(json.dumps({"learning_rate": run.rate, "steps": run.steps}))
    if held is not None:
        (folder / "logs" / "metrics.csv").write_text(f"step,val/miou\n10,\n99,{held}\n")


def test_a_run_sees_no_frame_of_the_drive_that_it_leaves_out() -> None:
    for drive in DRIVES:
        command = Trained(drive, "any", "vmf-nca", 0.002, 10).command(ROOT, WEIGHTS, Path("out"))
        splits = [part.removeprefix("camvid=") for part in command if "without" in part]
        parts = [Part.of(split) for split in splits]
        assert len(parts) == 2
        assert all(part and part.drive == drive and not part.only for part in parts)
        assert {part.tenths for part in parts if part} == {"fit", "held"}


def test_the_best_rate_on_held_out_frames_trains_and_the_twin_gets_equal_seconds(tmp_path: Path) -> None:
    fold, around = DRIVES[1], 20.0
    for method in ("segsort", "softmax"):
        for number, run in enumerate(tuning(fold, method).values()):
            pretend_finished(run, tmp_path, 50, held=0.5 - abs(number - 1) / 10)
    rate = RATES[1]
    pretend_finished(Trained(fold, "segsort-0", "vmf-nca", rate, STEPS), tmp_path, around + 0.5 * STEPS)
    pretend_finished(Trained(fold, "softmax-steps-0", "softmax", rate, STEPS), tmp_path, around + 0.25 * STEPS)
    first = Trained(SHORT.fold, "softmax-steps-0", "softmax", rate, STEPS)
    pretend_finished(first, tmp_path, around + 0.25 * STEPS)
    pretend_finished(SHORT, tmp_path, around + 0.25 * SHORT.steps)
    equal = Trained(fold, "softmax-time-0", "softmax", rate, 2 * STEPS)  # the start of a run counts for neither
    pretend_finished(equal, tmp_path, around + 0.25 * equal.steps)
    Queue(ROOT, WEIGHTS, tmp_path).supervised(fold, 0, equal_steps=True)  # everything is there: it trains nothing
    tuned = json.loads((tmp_path / fold / "tuned-segsort.json").read_text())
    assert tuned["learning_rate"] == rate
    assert len(tuned["held_miou"]) == len(RATES)
    assert equal.folder(tmp_path).exists()


def test_a_run_with_another_rate_is_not_taken_for_the_one_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")  # a training that fails at once
    run = Trained(DRIVES[0], "segsort-0", "vmf-nca", 0.004, 10)
    pretend_finished(Trained(DRIVES[0], "segsort-0", "vmf-nca", 0.002, 10), tmp_path, 5)
    with pytest.raises(RuntimeError, match=r"output\.log"):
        train(run, ROOT, WEIGHTS, tmp_path)
    used = json.loads((run.folder(tmp_path) / CPU).read_text())
    assert not used["finished"]
    assert used["cpu_s"] < 5


def test_a_run_from_scratch_gets_no_weights_and_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Trained] = []
    monkeypatch.setattr(Queue, "_train", lambda queue, run: trained.append(run))
    monkeypatch.setattr(Queue, "_tuned", lambda queue, fold, method: 0.004)
    queue = Queue(ROOT, WEIGHTS, tmp_path)
    for scratch in (False, True):
        queue.unsupervised(DRIVES[0], 1, "felzenszwalb", 2, None, scratch)
    usual, scratch_run = (run.command(ROOT, WEIGHTS, tmp_path) for run in trained)
    assert str(WEIGHTS) in usual
    assert "--weights" not in scratch_run
    assert "backbone_rate=1.0" in scratch_run
    assert [run.name for run in trained] == ["felzenszwalb-2-1", "felzenszwalb-2-scratch-1"]
    assert (trained[0].rate, trained[0].steps) == (trained[1].rate, trained[1].steps)


def test_supervised_runs_are_never_from_scratch() -> None:
    result = CliRunner().invoke(_app(), ["--camvid", "c", "--weights", "w", "--out", "o", "--scratch"])
    assert result.exit_code != 0
    assert "--unsupervised" in result.output


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(_main)
    return app
