"""Builds with images held out: which ones, and how well a release labels them."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from index_builder.datasets import IGNORE, Dataset, with_classes
from index_builder.scores import intersection_over_union, label_counts
from model_store.labelled import HeldOut, LabelledFiles, detect, hold_out, open_format
from model_store.labelled_parts import own_part, rule_of_own_part
from model_store.predictor import Predictor

Step = Callable[[int, int], None]


class Divided(NamedTuple):
    """Labelled images in two parts.

    train: images to build from; held: images to measure on, None if none can be held out; files: of train, with their
    survey; rule: how those of `held` were chosen, in words; groups: held out as a whole.
    """

    train: Dataset
    held: Dataset | None
    files: LabelledFiles
    rule: str
    groups: list[str]


class HeldOutScore(NamedTuple):
    """mIoU on held-out images, 0..1, None if not defined, and the IoU of each class of the data, None likewise."""

    miou: float | None
    per_class: dict[str, float | None]


def divide(root: Path, format_: str, split: str, mapping: Path | None, share: float, report: Step) -> Divided:
    """Open labelled images, and hold some out: the data's own part "val", or else see `hold_out`.

    Args:
        root: folder or file of the data.
        format_: of the data; "auto": it is detected.
        split: part of the data to build from.
        mapping: file of `read_mapping`; None: classes stay as they are.
        share: of the images to hold out, where the data have no part "val".
        report: called with the number of images read and that of all of them.

    Raises:
        ValueError: if the data do not follow the format, or their labels cannot be read.
    """
    name = detect(root) if format_ == "auto" else format_
    files = open_format(root, name, split)
    own = own_part(files, root, name)
    if own is not None:
        return Divided(with_classes(files, mapping), with_classes(own, mapping), files, rule_of_own_part(own), [])
    held = _held_out(files, root, share, report)
    rest = [i for i in range(len(files)) if i not in set(held.positions)]
    measured = open_format(root, name, split)
    measured.keep(held.positions)
    files.keep(rest)
    files.survey.use(files.image_file(i) for i in range(len(files)))
    mapped = with_classes(measured, mapping) if held.positions else None
    return Divided(with_classes(files, mapping), mapped, files, held.rule, held.groups)


def measure(predictor: Predictor, data: Dataset, report: Step) -> HeldOutScore:
    """Label images with a release, and compare the labels with the masks. Classes are matched by name.

    A class that the release does not have has an IoU of 0 where it occurs. Without a common class, or without
    exemplars, nothing is measured.

    Args:
        predictor: of the release.
        data: labelled images.
        report: called with the number of images labelled and that of all of them.
    """
    names = [info.name for info in data.classes]
    known = [info.name for info in predictor.release.card.classes]
    if not set(names) & set(known) or not len(predictor.release.exemplars):
        return HeldOutScore(None, dict.fromkeys(names))
    column = np.array([names.index(name) if name in names else len(names) for name in known])
    confusion = np.zeros((len(names), len(names) + 1), dtype=np.int64)
    for i in range(len(data)):
        sample = data[i]
        found = predictor.predict(sample.image)
        counts = label_counts(found.segments.labels, sample.labels, len(found.vote.class_ids), len(names))
        np.add.at(confusion.T, column[found.vote.class_ids], counts)
        report(i + 1, len(data))
    scores = intersection_over_union(confusion)
    per_class = {name: None if np.isnan(one) else float(one) for name, one in zip(names, scores, strict=True)}
    return HeldOutScore(None if np.isnan(scores).all() else float(np.nanmean(scores)), per_class)


def _held_out(files: LabelledFiles, root: Path, share: float, report: Step) -> HeldOut:
    present = []
    for i in range(len(files)):
        found = np.unique(files[i].labels).tolist()
        present.append(frozenset(class_id for class_id in found if class_id != IGNORE))
        report(i + 1, len(files))
    names = [files.image_file(i).relative_to(root).as_posix() for i in range(len(files))]
    return hold_out(names, present, share)
