"""Tables of methods that were scored on the same frames, from documents of `benchmarks.street_scores`."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from index_builder.pixel_scores import (
    Folds,
    Interval,
    PixelScores,
    calibration_error_of,
    iou_of,
    mean_miou,
    ratio_of_miou,
)
from index_builder.report.experiments import NONE
from index_builder.report.markdown import number, table
from index_builder.report.run_files import Json

SERVED, PROBE, PIXELS = "SegSort as served", "logistic probe on SegSort's embedding", "retrieval pixel by pixel"
EQUAL_TIME, EQUAL_STEPS = "softmax twin, equal time", "softmax twin, equal steps"
METHODS = (SERVED, PIXELS, PROBE, EQUAL_TIME, EQUAL_STEPS)


def folds(documents: Iterable[Json], frames: str, method: str) -> dict[str, list[np.ndarray]]:
    """Counts of a method by drive, one array [blocks, 3, C] a seed; drives in order."""
    found: dict[str, list[np.ndarray]] = {}
    for document in documents:
        for one in _scores(document, frames):
            if one.method == method:
                found.setdefault(document["drive"], []).append(np.asarray(one.counts))
    return dict(sorted(found.items()))


def ratio(documents: Sequence[Json], frames: str, above: str, below: str) -> Interval | None:
    """mIoU of a method over that of another on their common drives; None if there are none."""
    first, second = _common(folds(documents, frames, above), folds(documents, frames, below))
    return ratio_of_miou(first, second) if first else None


def score_table(documents: Sequence[Json], frames: str, names: Sequence[str]) -> str:
    """Scores and calibration errors of methods that were measured, means over drives and seeds."""
    head = ["", "seeds", "mIoU", "interval", "pixel accuracy", "boundary F, 2 px"]
    head += ["ECE, raw", "ECE, own calibration", "ECE, same curve for all"]
    rows = []
    for name in names:
        found = folds(documents, frames, name)
        if found:
            of = [one for document in documents for one in _scores(document, frames) if one.method == name]
            errors = [[calibration_error_of(sums) for sums in (one.raw, one.calibrated, one.curve)] for one in of]
            score = mean_miou(found)
            seeds = min(len(seeds) for seeds in found.values())
            plain = (
                np.mean([one.pixel_accuracy for one in of]),
                np.mean([one.boundary_f or 0 for one in of]),
                *np.mean(errors, 0),
            )
            rows.append(
                [name, str(seeds), number(score.value), interval(score), *(number(float(value)) for value in plain)]
            )
    return table(head, rows)


def drive_table(documents: Sequence[Json], names: Sequence[str]) -> str:
    """mIoU of methods on each drive that was left out, one row a method that was measured."""
    found = {name: folds(documents, "drive", name) for name in names}
    drives = sorted({drive for of in found.values() for drive in of})
    rows = [
        [name, *(number(mean_miou({drive: of[drive]}).value) if drive in of else NONE for drive in drives)]
        for name, of in found.items()
        if of
    ]
    return table(["mIoU of the drive left out", *drives], rows)


def class_table(documents: Sequence[Json], names: Sequence[str]) -> str:
    """IoU of each class, the mean over drives and seeds where it occurs or is predicted."""
    classes: list[str] = next((document["classes"] for document in documents if "classes" in document), [])
    rows = []
    for name in names:
        scores = [iou_of(one.sum(axis=0)) for seeds in folds(documents, "drive", name).values() for one in seeds]
        if scores:
            found = np.ma.masked_invalid(scores).mean(axis=0)
            rows.append([name, *(number(None if value is np.ma.masked else float(value)) for value in found)])
    return table(["", *classes], rows)


def ratio_table(documents: Sequence[Json], frames: str) -> str:
    """mIoU of SegSort as served over that of each of its peers, with intervals."""
    found = {name: ratio(documents, frames, SERVED, name) for name in METHODS[1:]}
    rows = [
        [name, *((NONE, NONE) if over is None else (number(over.value), interval(over)))]
        for name, over in found.items()
    ]
    return table([f"{SERVED} /", "mIoU", "interval"], rows)


def verdict(documents: Sequence[Json], frames: str) -> str:
    """Which peers are above SegSort, which below, and which cannot be told apart."""
    groups: dict[str, list[str]] = {"above it": [], "below it": [], "not told apart from it": []}
    for name in METHODS[1:]:
        found = ratio(documents, frames, SERVED, name)
        if found is not None:
            where_ = "above it" if found.high < 1 else "below it" if found.low > 1 else "not told apart from it"
            groups[where_].append(name)
    said = [f"{', '.join(names)}: {where_}" for where_, names in groups.items() if names]
    return f"By mIoU, beside {SERVED}: {'; '.join(said)} (95 % intervals of the ratios below)."


def interval(found: Interval) -> str:
    """Both ends of an interval, as text."""
    return f"{number(found.low)} to {number(found.high)}"


def _scores(document: Json, frames: str) -> list[PixelScores]:
    return [PixelScores.model_validate(one) for one in document["scores"].get(frames, [])]


def _common(first: Folds, second: Folds) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both methods on the drives that both were measured on."""
    drives = [drive for drive in first if drive in second]
    return {drive: first[drive] for drive in drives}, {drive: second[drive] for drive in drives}
