"""Labelled images on disk, images of textures, and releases with a head."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from index_builder.build import BuildOptions
from index_builder.datasets import IGNORE, Photograph, Sample
from index_builder.fit_release import fit_release
from index_builder.heads import (
    FeatureSource,
    FitSettings,
    OpenedFeatures,
    export_extractor,
    features_info,
    measure_statistics,
)
from index_builder.new_release import write_new
from model_store.card import ClassInfo, Preprocessing, SortingInfo
from segsort.features import INPUT_MEAN, INPUT_STD, Filters
from tests.conftest import BLOCK_CLASSES, Blocks


@pytest.fixture(scope="session")
def blocks_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of labelled blocks: four training images and four others; read only."""
    root = tmp_path_factory.mktemp("blocks")
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for i in range(4):
            sample = Blocks(split)[i]
            Image.fromarray(sample.image).save(root / "images" / split / f"{i}.png")
            Image.fromarray(sample.labels).save(root / "masks" / split / f"{i}.png")
    classes = [{"name": info.name, "color": list(info.color)} for info in BLOCK_CLASSES]
    (root / "classes.json").write_text(json.dumps({"classes": classes, "ignore": IGNORE}))
    return root


TEXTURE_CLASSES = (
    ClassInfo(class_id=0, name="stripes", color=(200, 40, 30)),
    ClassInfo(class_id=1, name="checks", color=(40, 180, 60)),
    ClassInfo(class_id=2, name="grain", color=(30, 60, 210)),
)


class Textures:
    """Grey images of three textures of one mean, each around a point of its own, which colour cannot tell apart.

    Args:
        split: "train" or "val".
        count: number of images.
        strokes: label two short strokes of each texture only.
        only: label these classes only, by the position of the image; others are unlabelled.
    """

    name = "textures"
    classes = TEXTURE_CLASSES

    def __init__(
        self, split: str = "train", count: int = 4, strokes: bool = False, only: Sequence[Sequence[int]] | None = None
    ) -> None:
        self.split, self.count, self.strokes, self.only = split, count, strokes, only

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Sample:
        if not 0 <= i < self.count:
            raise IndexError(i)
        random = np.random.default_rng([{"train": 10, "val": 11}[self.split], i])
        y, x = np.indices((96, 128))
        corners = random.permutation([(24, 32), (24, 96), (72, 32), (72, 96)]) + random.integers(-8, 9, (4, 2))
        kinds = np.append(random.permutation(3), random.integers(3))
        labels = kinds[
            ((y[None] - corners[:, 0, None, None]) ** 2 + (x[None] - corners[:, 1, None, None]) ** 2).argmin(0)
        ]
        waves = np.sin(y * 1.1), np.sign(np.sin(y * 0.5) * np.sin(x * 0.5)), random.normal(0, 0.15, y.shape)
        grey = 128 + 50 * np.choose(labels, waves) + random.normal(0, 6, y.shape)
        labels = labels.astype(np.uint8)
        if self.strokes:
            labels = _two_strokes(labels, random)
        if self.only is not None:
            labels[~np.isin(labels, list(self.only[i]))] = IGNORE
        image = np.clip(grey, 0, 255).astype(np.uint8)[:, :, None].repeat(3, axis=2)
        return Sample(image, labels, f"textures/{self.split}/{i:03d}")

    def photograph(self, i: int) -> Photograph:
        return Photograph(self[i].image, self[i].source)


def _two_strokes(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Two horizontal strokes of each class, 2 pixels wide and at most 20 long."""
    sparse = np.full_like(labels, IGNORE)
    for class_id in np.unique(labels):
        y, x = np.nonzero(labels[1:-1, 10:-10] == class_id)
        for n in random.choice(len(y), 2, replace=False).tolist():
            area = np.s_[y[n] + 1 : y[n] + 3, x[n] : x[n] + 20]
            sparse[area] = np.where(labels[area] == class_id, class_id, sparse[area])
    return sparse


SMALL_SORTING = SortingInfo(segments=24)


@pytest.fixture(scope="session")
def filter_features(tmp_path_factory: pytest.TempPathFactory) -> OpenedFeatures:
    """The filter bank for images of 128 pixels, with statistics of a few other images; read only."""
    folder = tmp_path_factory.mktemp("filters")
    file, filters = folder / "features.onnx", Filters()
    export_extractor(filters, file)
    preprocessing = Preprocessing(working_size=128, mean=(INPUT_MEAN,) * 3, std=(INPUT_STD,) * 3)
    source = FeatureSource(file, features_info("filters", filters.groups), preprocessing, {"features": "computed"})
    images = (Blocks()[i].image for i in range(6))
    return OpenedFeatures(source, measure_statistics(source, images, folder), None)


@pytest.fixture(scope="session")
def blank_release(filter_features: OpenedFeatures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an empty release over the filter bank; read only."""
    return write_new(tmp_path_factory.mktemp("blank") / "blank", filter_features, name="blank").path


@pytest.fixture(scope="session")
def texture_release(filter_features: OpenedFeatures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a release with a head that was fitted to images of textures; read only."""
    out = tmp_path_factory.mktemp("fitted") / "textures"
    options = BuildOptions(sorting=SMALL_SORTING)
    settings = FitSettings(fit="linear", threads=1)
    return fit_release(Textures(), filter_features, out, settings=settings, options=options).release.path


@pytest.fixture(scope="session")
def texture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of texture images: strokes in the split train, full labels in the split val; read only."""
    root = tmp_path_factory.mktemp("textures")
    for split, data in (("train", Textures(count=3, strokes=True)), ("val", Textures("val", 2))):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for i in range(len(data)):
            sample = data[i]
            Image.fromarray(sample.image).save(root / "images" / split / f"{i}.png")
            Image.fromarray(sample.labels).save(root / "masks" / split / f"{i}.png")
    classes = [{"name": info.name, "color": list(info.color)} for info in TEXTURE_CLASSES]
    (root / "classes.json").write_text(json.dumps({"classes": classes, "ignore": IGNORE}))
    return root
