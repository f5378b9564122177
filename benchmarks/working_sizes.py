"""Time and mIoU of a release at several working sizes, the longest side at which its network sees an image.

python -m benchmarks.working_sizes --camvid CAMVID [--split held] [--sizes 640 576 512 448] [--release PATH] [--out DIR]

The exemplars and the calibration stay those of the release. The sizes take turns, image by image. Times are processor
times of one thread, from the pixels of an image to its labels.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.beside import ratio
from benchmarks.common import report, spread
from index_builder.datasets import Dataset, open_dataset
from index_builder.scores import class_lookup, intersection_over_union, label_counts
from model_store.predictor import Predictor
from model_store.release import Release
from model_store.store import BUNDLED, ReleaseStore
from segsort import loops

SIZES = (640, 576, 512, 448)


def at_size(release: Release, size: int) -> Predictor:
    """A release whose network sees images at this size, on one thread."""
    preprocessing = release.card.preprocessing.model_copy(update={"working_size": size})
    card = release.card.model_copy(update={"preprocessing": preprocessing})
    return Predictor(replace(release, card=card), threads=1)


def measure(release: Release, dataset: Dataset, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of the table; ratios are to the first size."""
    classes = release.card.classes
    lookup = class_lookup(dataset.classes, classes, f"release {release.card.name}")
    predictors = [at_size(release, size) for size in sizes]
    counts = np.zeros((len(sizes), len(classes), len(classes)), dtype=np.int64)
    seconds = np.zeros((len(sizes), len(dataset)))
    for i in range(len(dataset)):
        sample = dataset[i]
        for n, predictor in enumerate(predictors):
            start = time.thread_time()
            with loops.at_most(1):
                found = predictor.predict(sample.image).class_map
            seconds[n, i] = time.thread_time() - start
            counts[n] += label_counts(found, lookup[sample.labels], len(classes), len(classes)).T
    rows = []
    for size, taken, confusion in zip(sizes, seconds, counts, strict=True):
        middle, low, high = ratio(taken, seconds[0])
        miou = float(np.nanmean(intersection_over_union(confusion)))
        rows.append(
            {"working size": size, "mIoU": miou, **spread(list(taken)), "ratio": middle, "ratio, low": low,
             "ratio, high": high}
        )  # fmt: skip
    return rows


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camvid", type=Path, required=True, help="folder of CamVid in the layout of SegNet")
    parser.add_argument("--split", default="held")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--release", help="name or path; default: the bundled one that is active")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    store = ReleaseStore([BUNDLED], None)
    release = Release.open(store.resolve(arguments.release) if arguments.release else store.active())
    dataset = open_dataset("camvid", arguments.camvid, arguments.split)
    rows = measure(release, dataset, arguments.sizes)
    details = {"release": release.card.name, "split": arguments.split, "images": len(dataset)}
    report("working_sizes", rows, details, arguments.out)


if __name__ == "__main__":
    main()
