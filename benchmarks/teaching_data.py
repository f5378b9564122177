"""Data sets of the teaching benchmark, and how a few of their images are marked: with full masks or with strokes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.textures import Textures
from index_builder.datasets import IGNORE, Dataset, Photograph, Sample, open_dataset
from index_builder.subsets import evenly_spread
from model_store.labelled import open_format

STROKES, LENGTH, WIDTH = 2, 30, 3  # of each class and image; pixels of the image at 512


class Domain(NamedTuple):
    """A data set of the benchmark. groups: features that may be used."""

    train: Dataset
    test: Dataset
    leaves_out: tuple[str, ...]


class Marked:
    """Labelled images as a data set: some images of another one, with full masks or with strokes."""

    def __init__(self, base: Dataset, images: Sequence[int], masks: Sequence[np.ndarray]) -> None:
        self.base, self.images, self.masks = base, images, masks
        self.name, self.classes = base.name, base.classes

    def __len__(self) -> int:
        return len(self.images)

    def photograph(self, i: int) -> Photograph:
        return self.base.photograph(self.images[i])

    def __getitem__(self, i: int) -> Sample:
        return Sample(self.photograph(i).image, self.masks[i], "")


def domains(data: Path) -> dict[str, Domain]:
    """The data sets. CamVid's training images are of two drives, its test images of a third one.

    The network behind the maps `streets` was trained on CamVid, so they are left out there.
    """
    folder = {name: data / name for name in ("facades", "nuclei", "camvid")}
    camvid = open_format(folder["camvid"], "camvid", "train")
    camvid.keep([i for i in range(len(camvid)) if not camvid.image_file(i).name.startswith("0016E5")])
    camvid.keep(evenly_spread(len(camvid), 30))
    return {
        "facades": Domain(open_dataset("folder", folder["facades"], "train"),
                          open_dataset("folder", folder["facades"], "val"), ()),
        "nuclei": Domain(open_dataset("folder", folder["nuclei"], "train"),
                         open_dataset("folder", folder["nuclei"], "val"), ()),
        "camvid": Domain(camvid, open_dataset("camvid", folder["camvid"], "val", count=30), ("streets",)),
        "textures": Domain(Textures(30, 0), Textures(30, 1), ()),
    }  # fmt: skip


def stroked(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Keep two straight strokes of each class, about 30 pixels long and 3 wide on an image of 512 pixels."""
    height, width = labels.shape
    unit = max(height, width) / 512
    kept = np.full_like(labels, IGNORE)
    y, x = np.mgrid[:height, :width]
    for class_id in np.unique(labels[labels != IGNORE]).tolist():
        places = np.argwhere(labels == class_id)
        for _ in range(STROKES):
            start = places[random.integers(len(places))]
            ends = [end_of_stroke(labels, start, angle, LENGTH * unit) for angle in random.uniform(0, 2 * np.pi, 8)]
            end = max(ends, key=lambda one: float(((one - start) ** 2).sum()))
            along = end - start
            share = ((y - start[0]) * along[0] + (x - start[1]) * along[1]) / max(1e-9, float((along**2).sum()))
            share = share.clip(0, 1)
            distance = np.hypot(y - start[0] - share * along[0], x - start[1] - share * along[1])
            kept[(distance <= WIDTH * unit / 2) & (labels == class_id)] = class_id
    return kept


def end_of_stroke(labels: np.ndarray, start: np.ndarray, angle: float, length: float) -> np.ndarray:
    """The last point on a straight line that is still of the class of its start."""
    end = start.astype(np.float64)
    for step in np.arange(0, length, 1.0):
        point = start + step * np.array([np.sin(angle), np.cos(angle)])
        row, column = np.round(point).astype(int)
        inside = 0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]
        if not inside or labels[row, column] != labels[start[0], start[1]]:
            break
        end = point
    return end


def mark(domain: Domain, count: int, how: str, seed: int) -> Marked:
    """Choose labelled images and mark them. Every class of the data set that the images have is marked."""
    random = np.random.default_rng((seed, count))
    total = len(domain.train)
    images = random.permutation(total)[: count or total].tolist()
    masks = [domain.train[i].labels for i in images]
    if how == "strokes":
        masks = [stroked(one, random) for one in masks]
    return Marked(domain.train, images, masks)
