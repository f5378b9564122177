"""The same images and labels, stored in every format, build the same release."""

import base64
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from index_builder.build import build_release
from index_builder.datasets import open_dataset
from index_builder.embedder_source import EmbedderSource, load_embedder_source
from index_builder.evaluation import evaluate
from model_store.exporting import ExportImage, ExportSegment, write
from model_store.labelled import IGNORE, detect
from tests.conftest import BLOCK_CLASSES, Blocks

COUNT = 20
SAMPLES = [Blocks("train", COUNT)[i] for i in range(COUNT)]


def png(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def save(values: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(png(values))


def results() -> list[ExportImage]:
    """The labels as results of a segmentation with one segment for each class."""
    found = []
    for i, (image, labels, _) in enumerate(SAMPLES):
        segments = [ExportSegment(f"{i}-{info.class_id}", info.class_id, 1.0, True) for info in BLOCK_CLASSES]
        numbers = np.where(labels == IGNORE, -1, labels.astype(np.int32))
        found.append(ExportImage(f"block{i:02}.png", numbers, segments, str(i), content=png(image)))
    return found


def exported(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        write(name, results(), BLOCK_CLASSES, folder)
        if name == "geojson":  # this export has no images
            for image in results():
                (folder / image.name).write_bytes(image.content or b"")
        if name == "label-studio":  # a person accepts predictions, which are no labels before
            tasks = json.loads((folder / "predictions.json").read_bytes())
            accepted = [{"data": task["data"], "annotations": task["predictions"]} for task in tasks]
            (folder / "predictions.json").write_text(json.dumps(accepted))

    return make


def voc(folder: Path) -> None:
    lines = ["# label:color_rgb:parts:actions"]
    lines += [f"{info.name}:{','.join(map(str, info.color))}::" for info in BLOCK_CLASSES]
    for i, (image, labels, _) in enumerate(SAMPLES):
        save(image, folder / "JPEGImages" / f"block{i:02}.png")
        mask = Image.fromarray(labels).convert("P")
        mask.putdata(labels.ravel().tolist())
        palette = np.full((256, 3), 224, np.uint8)
        palette[: len(BLOCK_CLASSES)] = [info.color for info in BLOCK_CLASSES]
        mask.putpalette(palette.ravel().tolist())
        (folder / "SegmentationClass").mkdir(exist_ok=True)
        mask.save(folder / "SegmentationClass" / f"block{i:02}.png")
    (folder / "labelmap.txt").write_text("\n".join(lines))
    (folder / "ImageSets" / "Segmentation").mkdir(parents=True)
    (folder / "ImageSets" / "Segmentation" / "train.txt").write_text("".join(f"block{i:02}\n" for i in range(COUNT)))


def ade20k(folder: Path) -> None:
    for i, (image, labels, _) in enumerate(SAMPLES):
        save(image, folder / "images" / "training" / f"block{i:02}.png")
        mask = np.where(labels == IGNORE, 0, labels + 1).astype(np.uint8)
        save(mask, folder / "annotations" / "training" / f"block{i:02}.png")
    (folder / "classes.txt").write_text("".join(f"{info.name}\n" for info in BLOCK_CLASSES))


def pairs(folder: Path) -> None:
    for i, (image, labels, _) in enumerate(SAMPLES):
        save(image, folder / f"block{i:02}.png")
        save(labels, folder / f"block{i:02}_mask.png")
    (folder / "classes.txt").write_text("".join(f"{info.name}\n" for info in BLOCK_CLASSES))


def supervisely(folder: Path) -> None:
    classes = [
        {"title": info.name, "shape": "bitmap", "color": "#{:02x}{:02x}{:02x}".format(*info.color)}
        for info in BLOCK_CLASSES
    ]
    folder.mkdir(exist_ok=True)
    (folder / "meta.json").write_text(json.dumps({"classes": classes, "tags": [], "projectType": "images"}))
    for i, (image, labels, _) in enumerate(SAMPLES):
        save(image, folder / "train" / "img" / f"block{i:02}.png")
        objects = []
        for info in BLOCK_CLASSES:
            mask = labels == info.class_id
            if mask.any():
                y, x = np.nonzero(mask)
                part = mask[y.min() : y.max() + 1, x.min() : x.max() + 1]
                data = base64.b64encode(zlib.compress(png(part.astype(np.uint8) * 255))).decode()
                bitmap = {"data": data, "origin": [int(x.min()), int(y.min())]}
                objects.append({"classTitle": info.name, "geometryType": "bitmap", "bitmap": bitmap})
        size = {"height": labels.shape[0], "width": labels.shape[1]}
        file = folder / "train" / "ann" / f"block{i:02}.png.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"description": "", "tags": [], "size": size, "objects": objects}))


def panoptic(folder: Path) -> None:
    """COCO's panoptic maps: id = R + 256 G + 256^2 B."""
    categories = [{"id": info.class_id + 1, "name": info.name, "isthing": 0} for info in BLOCK_CLASSES]
    images, annotations = [], []
    for i, (image, labels, _) in enumerate(SAMPLES):
        name, ids = f"block{i:02}.png", np.where(labels == IGNORE, 0, 700 + 3 * labels.astype(np.int64))
        save(image, folder / "train2017" / name)
        save(np.stack([ids % 256, ids // 256, ids * 0], axis=2).astype(np.uint8), folder / "annotations" /
             "panoptic_train2017" / name)  # fmt: skip
        images.append({"id": i, "file_name": name, "height": labels.shape[0], "width": labels.shape[1]})
        segments = [
            {"id": 700 + 3 * info.class_id, "category_id": info.class_id + 1, "iscrowd": 0}
            for info in BLOCK_CLASSES
            if (labels == info.class_id).any()
        ]
        annotations.append({"image_id": i, "file_name": name, "segments_info": segments})
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations" / "panoptic_train2017.json").write_text(json.dumps(document))


WAYS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "folder, indices": ("folder", exported("png")),
    "folder, colours": ("folder", exported("color-png")),
    "coco": ("coco", exported("coco")),
    "coco, panoptic": ("coco", panoptic),
    "yolo": ("yolo", exported("yolo")),
    "geojson": ("geojson", exported("geojson")),
    "label-studio": ("label-studio", exported("label-studio")),
    "cvat": ("cvat", exported("cvat")),
    "labelme": ("labelme", exported("labelme")),
    "voc": ("voc", voc),
    "ade20k": ("ade20k", ade20k),
    "pairs": ("pairs", pairs),
    "supervisely": ("supervisely", supervisely),
}


@pytest.fixture(scope="module")
def source(tiny_run: Path) -> EmbedderSource:
    return load_embedder_source(tiny_run)


@pytest.fixture(scope="module")
def expected(source: EmbedderSource, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, int], float]:
    """Exemplars of each class and mIoU of a build from arrays, without any file."""

    built = build_release(Blocks("train", COUNT), source, tmp_path_factory.mktemp("arrays") / "built")
    return built.card.data["exemplars"]["exemplars_per_class"], evaluate(built, Blocks("val")).miou or 0.0


@pytest.mark.parametrize("way", WAYS)
def test_the_same_labels_in_any_format_build_the_same_release(
    way: str, source: EmbedderSource, expected: tuple[dict[str, int], float], tmp_path: Path
) -> None:
    name, make = WAYS[way]
    make(tmp_path / "data")
    assert detect(tmp_path / "data") == name
    data = open_dataset("auto", tmp_path / "data", "train")
    assert len(data) == COUNT
    built = build_release(data, source, tmp_path / "built")
    counts = {name: count for name, count in built.card.data["exemplars"]["exemplars_per_class"].items() if count}
    assert counts == {name: count for name, count in expected[0].items() if count}
    assert evaluate(built, Blocks("val")).miou == pytest.approx(expected[1], abs=0.005)
