"""Train the networks behind the claims about streets: SegSort, its softmax twin and unsupervised runs.

    python -m benchmarks.street_claims --camvid CAMVID --weights mobilenet_v2_imagenet.safetensors --out runs/claims

The unit of generalisation is the drive. A fold leaves out one drive of CamVid train: networks are trained on
"fit-without-DRIVE", everything is chosen and calibrated on "held-without-DRIVE", and only "only-DRIVE" is reported.

In each fold SegSort and the twin get the same tuning budget: one short run for each learning rate, scored on the held
part by the way each is used (retrieval, or the classifier). Then each is trained with its best learning rate for equal
steps, and the twin once more for equal CPU seconds, measured on the runs before.

Finished runs are skipped, and a stopped one continues, so the same command resumes the queue. The folder of each run
receives cpu.json: CPU seconds of its training, over all its processes.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

DRIVES = ("0006R0", "0016E5", "0001TP")
RATES = (0.004, 0.008, 0.016)
STEPS, TUNING_STEPS = 400, 100
OBJECTIVES = {"segsort": "vmf-nca", "softmax": "softmax", "unsupervised": "vmf"}
COMMON = {"crop": [192, 256], "batch_per_domain": 8, "pixels_per_domain": 4096}
CPU, RECIPE = "cpu.json", "recipe.json"
SCRATCH = "scratch"  # in the name of runs that start from random weights


@dataclass(frozen=True)
class Trained:
    """One run of `segsort train`.

    Attributes:
        fold: the drive that is left out.
        name: folder of the run within the folder of its fold.
        objective: of the recipe.
        rate: learning rate.
        steps: optimiser steps.
        seed: of every random choice.
        more: other values of the recipe.
        scratch: whether the network starts from random weights instead of those of ImageNet.
    """

    fold: str
    name: str
    objective: str
    rate: float
    steps: int
    seed: int = 0
    more: dict[str, Any] = field(default_factory=dict)
    scratch: bool = False

    def command(self, camvid: Path, weights: Path, out: Path) -> list[str]:
        """The command line that trains it."""
        settings = {**COMMON, "learning_rate": self.rate, "validate_every": 0, **self.more}
        return [
            *(sys.executable, "-m", "command_line.main", "train", "--dataset", "camvid", "--root", str(camvid)),
            *("--split", f"camvid=fit-without-{self.fold}", "--validation-split", f"held-without-{self.fold}"),
            *(() if self.scratch else ("--weights", str(weights))),
            *("--objective", self.objective, "--precision", "bf16-mixed"),
            *("--steps", str(self.steps), "--seed", str(self.seed), "--out", str(self.folder(out))),
            *(part for name, value in settings.items() for part in ("--set", f"{name}={json.dumps(value)}")),
        ]

    def folder(self, out: Path) -> Path:
        """Folder of the run."""
        return out / self.fold / self.name


SHORT = Trained(DRIVES[0], "softmax-short", "softmax", RATES[0], 40)  # shows what a run needs besides its steps


def train(run: Trained, camvid: Path, weights: Path, out: Path) -> float:
    """Train a run, unless it is finished. A run with another learning rate or number of steps is replaced.

    Returns:
        CPU seconds of its training, those of stopped starts included.

    Raises:
        RuntimeError: if training fails; its output is in the folder of the run.
    """
    folder = run.folder(out)
    if (folder / RECIPE).exists():
        kept = json.loads((folder / RECIPE).read_text())
        if (kept["learning_rate"], kept["steps"]) != (run.rate, run.steps):
            shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    used = json.loads((folder / CPU).read_text()) if (folder / CPU).exists() else {"cpu_s": 0.0, "finished": False}
    if not used["finished"]:
        with (folder / "output.log").open("a") as log:
            process = subprocess.Popen(run.command(camvid, weights, out), stdout=log, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        used = {"cpu_s": used["cpu_s"] + usage.ru_utime + usage.ru_stime, "finished": status == 0, "steps": run.steps}
        (folder / CPU).write_text(json.dumps(used) + "\n")
        print(f"{time.strftime('%H:%M:%S')} {run.fold}/{run.name}: {used['cpu_s']:.0f} CPU seconds", flush=True)
        if status != 0:
            raise RuntimeError(f"training of {folder} failed; see {folder / 'output.log'}")
    return float(used["cpu_s"])


def finished(run: Path) -> bool:
    """Whether a run has ended."""
    return (run / CPU).is_file() and bool(json.loads((run / CPU).read_text())["finished"])


def tuning(fold: str, method: str) -> dict[float, Trained]:
    """The short runs that choose a learning rate. Each is scored once, after its last step, on the held part."""
    scored = {"validate_every": TUNING_STEPS, "validation_images": 40}
    return {
        rate: Trained(fold, f"tune-{method}-{rate:g}", OBJECTIVES[method], rate, TUNING_STEPS, more=scored)
        for rate in RATES
    }


def held_score(run: Path) -> float:
    """mIoU of a tuning run on the held part."""
    files = sorted((run / "logs").glob("metrics*.csv"))
    rows = [row for file in files for row in csv.DictReader(file.read_text().splitlines())]
    return [float(row["val/miou"]) for row in rows if row.get("val/miou")][-1]


class Queue:
    """Trains what the tables need, in an order in which a fold can be reported early.

    Args:
        camvid: folder of CamVid.
        weights: ImageNet weights of MobileNetV2.
        out: folder of the runs.
    """

    def __init__(self, camvid: Path, weights: Path, out: Path) -> None:
        self.camvid, self.weights, self.out = camvid, weights, out

    def supervised(self, fold: str, seed: int, equal_steps: bool) -> None:
        """Train SegSort and the twin with tuned learning rates; with `equal_steps`, the twin once more for as many."""
        rates = {method: self._tuned(fold, method) for method in ("segsort", "softmax")}
        sorting = Trained(fold, f"segsort-{seed}", "vmf-nca", rates["segsort"], STEPS, seed)
        self._train(sorting)
        if equal_steps:
            self._train(Trained(fold, f"softmax-steps-{seed}", "softmax", rates["softmax"], STEPS, seed))
        steps = self._equal_time_steps(fold)
        self._train(Trained(fold, f"softmax-time-{seed}", "softmax", rates["softmax"], steps, seed))

    def unsupervised(
        self, fold: str, seed: int, regions: str, views: int, contours: Path | None, scratch: bool = False
    ) -> None:
        """Train without labels, with the learning rate of SegSort in this fold, for as many steps.

        scratch: start from random weights, whose backbone then learns as fast as the decoder.
        """
        more = {"regions": regions, "views": views, **({"contours": str(contours)} if regions == "contours" else {})}
        name = f"{regions}-{views}-{seed}"
        if scratch:
            more, name = {**more, "backbone_rate": 1.0}, f"{regions}-{views}-{SCRATCH}-{seed}"
        rate = self._tuned(fold, "segsort")
        self._train(Trained(fold, name, "vmf", rate, STEPS, seed, more, scratch))

    def _train(self, run: Trained) -> float:
        return train(run, self.camvid, self.weights, self.out)

    def _tuned(self, fold: str, method: str) -> float:
        """The learning rate with the best score on the held part, of all short runs of a method in a fold."""
        for run in tuning(fold, method).values():
            self._train(run)
        prefix = f"tune-{method}-"
        runs = sorted(run for run in (self.out / fold).glob(f"{prefix}*") if finished(run))
        scores = {run.name.removeprefix(prefix): held_score(run) for run in runs}
        best = max(scores, key=scores.__getitem__)
        file = self.out / fold / f"tuned-{method}.json"
        file.write_text(json.dumps({"held_miou": scores, "learning_rate": float(best)}) + "\n")
        return float(best)

    def _equal_time_steps(self, fold: str) -> int:
        """Steps of the twin that take the CPU seconds of SegSort's STEPS.

        What a run needs before and after its steps is subtracted: it is estimated from two runs of the twin, one short.
        """
        short, whole = self._train(SHORT), self._cpu_s(SHORT.fold, "softmax-steps-0")
        around = max(0.0, short - SHORT.steps * (whole - short) / (STEPS - SHORT.steps))
        ours, twins = (self._cpu_s(fold, name) - around for name in ("segsort-0", "softmax-steps-0"))
        return max(STEPS, round(STEPS * ours / twins))

    def _cpu_s(self, fold: str, name: str) -> float:
        return float(json.loads((self.out / fold / name / CPU).read_text())["cpu_s"])


def _main(
    camvid: Annotated[Path, typer.Option(help="Folder of CamVid.")],
    weights: Annotated[Path, typer.Option(help="ImageNet weights of MobileNetV2 (safetensors file).")],
    out: Annotated[Path, typer.Option(help="Folder of the runs.")],
    drive: Annotated[list[str], typer.Option(help="Drive to leave out; default: each in turn.")] = list(DRIVES),  # noqa: B006
    seed: Annotated[list[int], typer.Option(help="Seed; repeat it for several.")] = [0],  # noqa: B006
    unsupervised: Annotated[
        str | None, typer.Option(help="Train without labels instead, on regions of this source, such as felzenszwalb.")
    ] = None,
    views: Annotated[int, typer.Option(help="Views of an image in unsupervised runs.")] = 2,
    contours: Annotated[Path | None, typer.Option(help="Contour network (ONNX), for regions 'contours'.")] = None,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="Start unsupervised runs from random weights, not those of ImageNet.")
    ] = False,
) -> None:
    """Train the networks behind the claims about streets. The same command continues a stopped queue."""
    if scratch and unsupervised is None:
        raise typer.BadParameter("--scratch belongs to --unsupervised; give both, or leave it out")
    queue = Queue(camvid, weights, out)
    for one in seed:
        for fold in drive:
            if unsupervised is None:
                queue.supervised(fold, one, equal_steps=one == 0)
            else:
                queue.unsupervised(fold, one, unsupervised, views, contours, scratch)


if __name__ == "__main__":
    typer.run(_main)
