"""`segsort build --hold-out`: build a release, and measure it on labelled images that the build did not see."""

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from index_builder.child_process import ReportStage, reporting, use_threads, yield_to_parent

if TYPE_CHECKING:
    from index_builder.build import Notes
    from index_builder.heads import FitSettings
    from index_builder.held_out import Divided


def build_measured(
    data: Path,
    format_: str,
    classes: Path | None,
    out: Path,
    *,
    name: str | None,
    embedder: str,
    fit: str | None,
    budget: float,
    seed: int,
    split: str,
    hold_out: float,
    compare_with: str | None,
    description: str,
    licence: str | None,
    as_json: bool,
    progress: bool,
    threads: int | None,
    background: int | None,
) -> None:
    """Build a release from some of the labelled images, and measure it on the others. See the options of `build`.

    Raises:
        ValueError: if the data do not follow their format, or `out` exists.
    """
    if background is not None:
        yield_to_parent(background)
    use_threads(threads)
    if not data.exists():
        raise ValueError(f"{data} does not exist; give the folder of labelled images")
    if out.exists():
        raise ValueError(f"{out} exists, and a release is never overwritten; give another folder with --out")
    started = time.perf_counter()
    from index_builder.build import Notes
    from index_builder.heads import FitSettings
    from index_builder.held_out import divide

    stated = {} if licence is None else {"exemplars": licence}
    settings = FitSettings(fit=fit or "auto", budget=budget, seed=seed, threads=threads)  # type: ignore[arg-type]
    with reporting(progress) as report:
        divided = divide(data, format_, split, classes, hold_out, lambda done, total: report("images", done, total))
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            notes = Notes(description=description, licence=stated, images="")
            plan = _Plan(name or out.name, embedder, settings, notes, compare_with)
            result = _built(divided, Path(folder), out, plan, report)
    result["seconds"] = round(time.perf_counter() - started, 3)
    typer.echo(json.dumps(result) if as_json else _described(result))


class _Plan(NamedTuple):
    """What is built and compared: see the options of `build`."""

    name: str
    embedder: str
    settings: "FitSettings"
    notes: "Notes"
    compare_with: str | None


def _built(divided: "Divided", folder: Path, out: Path, plan: _Plan, report: ReportStage) -> dict[str, Any]:
    """Build the release in a folder, measure it, and write it with its scores to `out`."""
    from index_builder.build import with_card
    from index_builder.build_report import warnings_of
    from index_builder.fit_release import fit_release
    from index_builder.heads import open_features
    from index_builder.held_out import HeldOutScore, measure
    from model_store.predictor import Predictor
    from model_store.release import Release
    from model_store.store import open_store

    store = open_store()
    built = fit_release(
        divided.train,
        open_features(plan.embedder, store, folder),
        folder / "built",
        name=plan.name,
        settings=plan.settings,
        notes=plan.notes,
        report=lambda done: report(*done),
    )
    nothing = HeldOutScore(None, {})

    def scored(release: Release, stage: str) -> HeldOutScore:
        if divided.held is None:
            return nothing
        predictor = Predictor(release, threads=plan.settings.threads)
        return measure(predictor, divided.held, lambda done, total: report(stage, done, total))

    mine, other = scored(built.release, "evaluation"), None
    if plan.compare_with is not None:
        other = Release.open(store.resolve(plan.compare_with))
    theirs = nothing if other is None else scored(other, "comparison")
    held = 0 if divided.held is None else len(divided.held)
    facts = {
        "images": held,
        "rule": divided.rule,
        "groups": divided.groups,
        "miou": mine.miou,
        "per_class": mine.per_class,
        "compared_with": None if other is None else other.card.name,
        "miou_compared": theirs.miou,
        "per_class_compared": theirs.per_class,
    }
    card = built.release.card
    release = with_card(built.release, out, data={**card.data, "held_out": facts})
    return {
        "release": plan.name,
        "path": str(release.path.absolute()),
        "images": len(divided.train),
        "exemplars": len(release.exemplars),
        "held_out": held,
        "rule": divided.rule,
        "miou": mine.miou,
        "compared_with": facts["compared_with"],
        "miou_compared": theirs.miou,
        "per_class": [
            {"name": one, "iou": mine.per_class.get(one), "iou_compared": theirs.per_class.get(one)}
            for one in (info.name for info in divided.train.classes)
        ],
        "head": built.fitted.info.chosen,
        "warnings": warnings_of(card),
    }


def _described(result: dict[str, Any]) -> str:
    lines = [f"{result['release']}: {result['head']}; {result['path']}"]
    lines.append(f"built from {result['images']} images; held out: {result['rule']}")
    if result["miou"] is not None:
        lines.append(f"mIoU {result['miou']:.3f} on {result['held_out']} held-out images")
    if result["miou_compared"] is not None:
        lines.append(f"mIoU {result['miou_compared']:.3f} of {result['compared_with']} on the same images")
    lines += [f"Warning: {one}" for one in result["warnings"]]
    return "\n".join(lines)
