"""What a build read and made, in words for its user."""

from typing import Any

import numpy as np

from model_store.card import Card
from model_store.labelled import IGNORE, Dataset, Survey


def label_facts(dataset: Dataset, pixels: np.ndarray) -> dict[str, Any]:
    """Pixels by label [256], IGNORE among them, and the files that were found, for the card."""
    survey = getattr(dataset, "survey", None)
    return {
        "pixels_per_class": {info.name: int(pixels[info.class_id]) for info in dataset.classes},
        "unlabelled_share": round(float(pixels[IGNORE] / max(pixels.sum(), 1)), 6),
        **({} if survey is None else {"files": survey.facts()}),
    }


def report_lines(card: Card, survey: Survey | None) -> list[str]:
    """What was read: files used and skipped, pixels and exemplars of each class.

    Args:
        card: of the release that was built.
        survey: of the data set; None: its images are not files.
    """
    labels, exemplars = card.data["labels"], card.data["exemplars"]["exemplars_per_class"]
    pixels: dict[str, int] = labels["pixels_per_class"]
    total = max(sum(pixels.values()), 1)
    told = [] if survey is None else survey.lines()
    for name, count in pixels.items():
        told.append(f"{name}: {count / total:.2%} of the labelled pixels, {exemplars.get(name, 0)} exemplars")
    return [*told, f"{labels['unlabelled_share']:.2%} of all pixels are unlabelled"]


def warnings_of(card: Card) -> list[str]:
    """What a user should look at: classes without exemplars, and skipped files that were meant to be used."""
    labels, exemplars = card.data["labels"], card.data["exemplars"]["exemplars_per_class"]
    told = []
    for name, pixels in labels["pixels_per_class"].items():
        if exemplars.get(name, 0) == 0:
            why = f"its {pixels} pixels are in no exemplar" if pixels else "no pixel of the masks is labelled so"
            told.append(f"the class {name} has no exemplar: {why}")
    skipped: dict[str, Any] = labels.get("files", {}).get("skipped", {})
    for reason, files in skipped.items():
        if reason not in HARMLESS:
            count = "1 file was" if files["count"] == 1 else f"{files['count']} files were"
            told.append(f"{count} skipped, {reason}: {', '.join(files['files'][:5])}")
    return told


HARMLESS = ("left by a file manager or an editor", "not an image by its suffix")
