"""Folders of runs, written as training and evaluation write them; their figures are made up."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NAMES = ["road", "tree"]
Write = Callable[..., Path]


def evaluation(miou: float, **others: Any) -> dict[str, Any]:
    """A document of `segsort evaluate --json`."""
    return {
        "release": "r",
        "dataset": "camvid/val",
        "images": 3,
        "miou": miou,
        "per_class": {"road": miou, "tree": None},
        "pixel_accuracy": 0.9,
        "boundary_f": {str(pixels): miou / 2 + pixels / 100 for pixels in range(1, 6)},
        "ece": 0.02,
        "known_share": 0.8,
        "timings_ms": {"embed": 60.0},
        "predicted_classes": NAMES,
        "confusion": [[30, 10], [5, 15]],
        **others,
    }


def writer(root: Path) -> Write:
    """Writes a run's folder: recipe=..., log=text of the CSV, and other files by name with "_" for "-"."""

    def write(name: str, recipe: dict[str, Any] | None = None, log: str = "", **documents: Any) -> Path:
        folder = root / "runs" / name
        (folder / "logs").mkdir(parents=True)
        (folder / "checkpoints").mkdir()
        if recipe is not None:
            documents["recipe"] = {"datasets": ["camvid"], "roots": {"camvid": "/home/me/camvid"}, **recipe}
        for file, document in documents.items():
            (folder / f"{file.replace('_', '-')}.json").write_text(json.dumps(document))
        if log:
            (folder / "logs" / "metrics.csv").write_text(log)
        return folder

    return write


@pytest.fixture
def write_run(tmp_path: Path) -> Write:
    """Writes runs of a test's own."""
    return writer(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Runs that together hold everything that a page can show; read only."""
    write_run = writer(tmp_path_factory.mktemp("whole"))
    log = "epoch,loss,step,val/miou\n" + "".join(f"0,{1 / (n + 1)},{10 * n + 9},\n" for n in range(12)) + "0,,119,0.4\n"
    removal = [{"removed": n, "top_area": 1 - n / 10, "random_area": 1.0} for n in (0, 1, 5)]
    flips = {kind: {"segments": 9, "median": 3.0, "histogram": {"1": 2, "3-4": 7}} for kind in ("right", "wrong")}
    explained = {"replay": {"label": 1.0}, "removal": removal, "flip_sets": flips, "purity": {"voters": 0.9}}
    bins = [{"confidence": None, "correct": None, "weight": None}] * 13
    bins += [{"confidence": 0.9, "correct": 0.8, "weight": 0.25}, {"confidence": 0.99, "correct": 1.0, "weight": 0.75}]
    extras = {"explanations": explained, "reliability": bins}
    extras["foreign"] = {"samples": {"images": 19, "auroc": 0.93, "known_share": 0.2}}
    place = {"commit": "0123456789" * 4, "machine": "a machine", "threads": 2}
    sweep = {"axis": "K", "dataset": "camvid/held", "what": "all else as served"}
    sweep["rows"] = [{"value": K, "miou": 0.5 + K / 1000, "boundary_f": {"2": 0.4}} for K in (9, 36, 200)]
    regions = {"rows": [{"source": "slic", "boundary_recall": 0.75}], "circumstances": {"processor": "another one"}}
    folders = [
        write_run(f"nca-{seed}", {"seed": seed, "weights": "/home/me/mobilenet.safetensors"}, log, environment=place,
                  evaluation=evaluation(0.6 + seed / 50, **extras), sweep_K=sweep, sweep_k=sweep | {"axis": "k"})
        for seed in (0, 1)
    ]  # fmt: skip
    evaluations = {"evaluation": evaluation(0.45), "evaluation_cluster": evaluation(0.3, protocol="cluster", ece=None)}
    folders.append(write_run("vmf-0", {"objective": "vmf", "seed": 0, "label": "unsupervised"}, log, **evaluations))
    softmax = evaluation(0.62, protocol="softmax")
    folders.append(write_run("softmax-1", {"objective": "softmax", "seed": 1}, evaluation_softmax=softmax))
    speed = {"images_per_s": {"step": 5.5}, "machine": "a machine"}
    return [*folders, write_run("extra", regions=regions, speed=speed)]
