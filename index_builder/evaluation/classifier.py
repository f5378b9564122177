"""Evaluation of a softmax classifier pixel by pixel, the baseline of segment sorting."""

import json
import time
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from index_builder.datasets import IGNORE, Dataset
from index_builder.embedder_source import DESCRIPTION, load_embedder_source
from index_builder.environment import circumstances
from index_builder.evaluation.evaluation_report import TOLERANCES, Outcomes, Report, scores_of
from index_builder.pixel_scores import BINS, binned
from index_builder.progress import counted
from index_builder.scores import boundary_f, class_lookup
from model_store.card import ClassInfo
from model_store.embedder import Device, Embedder, prepare
from model_store.pixel_classifier import classify_pixels


def is_classifier(run: Path) -> bool:
    """Whether a folder is a training run of a classifier."""
    file = run / DESCRIPTION
    return file.is_file() and "classes" in json.loads(file.read_text())


def evaluate_classifier(run: Path, dataset: Dataset, *, device: Device = "cpu", threads: int | None = None) -> Report:
    """Classify every pixel of a data set and compare the classes with its masks, at the resolution of the masks.

    Args:
        run: folder of a run with objective "softmax".
        dataset: labelled images. Classes are matched with those of the run by name; ignored pixels do not count.
        device: "cpu" or "cuda".
        threads: threads of the network on a CPU; None: all cores.

    Raises:
        ValueError: if the data set is empty or has a class that is not in the run, or the run has no classifier.
    """
    if len(dataset) == 0:
        raise ValueError(f"data set {dataset.name!r} has no images; give another data set or split")
    if not is_classifier(run):
        raise ValueError(f"{run} has no classifier; give the run of `segsort train --objective softmax`")
    source = load_embedder_source(run)
    classes = TypeAdapter(list[ClassInfo]).validate_python(json.loads((run / DESCRIPTION).read_text())["classes"])
    lookup = class_lookup(dataset.classes, classes, f"run {run.name}")
    embedder = Embedder((source.network_file, source.preprocessing), device, threads)
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    bins, boundary, embed_ms, started = np.zeros((3, BINS)), [], [], time.perf_counter()
    for i in counted(len(dataset), "classifying"):
        sample = dataset[i]
        labels = lookup[sample.labels]
        before = time.perf_counter()
        x, (rows, columns) = prepare(sample.image, source.preprocessing)
        logits = embedder.run_classifier(x)[0, :, :rows, :columns]
        embed_ms.append((time.perf_counter() - before) * 1000)
        predicted, probability = classify_pixels(logits, labels.shape)
        known = labels != IGNORE
        np.add.at(confusion, (labels[known], predicted[known]), 1)
        bins += binned(probability[known], (predicted == labels)[known])
        boundary.append(boundary_f(labels, predicted, TOLERANCES))
    ours = [int(lookup[info.class_id]) for info in dataset.classes]
    order = ours + [info.class_id for info in classes if info.class_id not in ours]
    used = bins[0] > 0
    outcomes = Outcomes(
        confusion=confusion[ours][:, order],
        names=[classes[c].name for c in order],
        boundary=np.stack(boundary),
        confidence=bins[1, used] / bins[0, used],
        correct=bins[2, used] / bins[0, used],
        weights=bins[0, used],
        raw=bins[1, used] / bins[0, used],
        right=bins[2, used] / bins[0, used],
    )
    scores = scores_of(outcomes, dataset)
    error = scores["ece"]  # of pixels: a classifier has no segments, and is not calibrated
    return Report.model_validate(
        {
            **scores,
            "ece": None,
            "pixel_ece": {"raw": error, "calibrated": None},
            "release": run.name,
            "protocol": "softmax",
            "known_share": None,
            "segments_per_image": None,
            "environment": circumstances(),
            "timings_ms": {"embed": float(np.median(embed_ms))},
            "seconds": time.perf_counter() - started,
        }
    )
