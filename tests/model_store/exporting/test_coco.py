"""The export `coco`, read by pycocotools and by supervision."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from model_store.exporting import ExportOptions, write
from tests.model_store.exporting.samples import CLASSES, WRITTEN, masks, results


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    write("coco", results(), CLASSES, tmp_path, ExportOptions(release="streets 2"))
    return tmp_path


def test_pycocotools_reads_exactly_the_masks(exported: Path) -> None:
    read = COCO(exported / "annotations" / "instances_default.json")
    assert [read.imgs[i]["file_name"] for i in sorted(read.imgs)] == list(WRITTEN)
    for number, image in enumerate(results(), 1):
        H, W = image.labels.shape
        assert (read.imgs[number]["height"], read.imgs[number]["width"]) == (H, W)
        found = {entry["segment_id"]: entry for entry in read.loadAnns(read.getAnnIds(imgIds=number))}
        expected = masks(image)
        assert set(found) == set(expected), "unknown segments and those without pixels are left out"
        labelled = {segment.segment_id: segment for segment in image.segments}
        for name, mask in expected.items():
            entry, segment = found[name], labelled[name]
            assert (read.annToMask(entry) == mask).all()
            rows, columns = np.nonzero(mask)
            x, y = int(columns.min()), int(rows.min())
            assert entry["bbox"] == [x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1]
            assert entry["area"] == mask.sum()
            assert CLASSES[segment.class_id or 0].name == read.cats[entry["category_id"]]["name"]
            assert tuple(entry["exemplars"]) == segment.exemplars
            assert entry.get("score") == (None if segment.confidence is None else round(segment.confidence, 4))


def test_categories_are_the_classes_in_order_from_1(exported: Path) -> None:
    document = json.loads((exported / "annotations" / "instances_default.json").read_bytes())
    assert [entry["id"] for entry in document["categories"]] == [1, 2, 3, 4]
    assert [entry["name"] for entry in document["categories"]] == [info.name for info in CLASSES]
    assert [tuple(entry["color"]) for entry in document["categories"]] == [info.color for info in CLASSES]
    assert document["info"]["description"] == "streets 2"
    assert [image["segsort_id"] for image in document["images"]] == [f"image{i}" for i in range(4)]
    ids = [entry["id"] for entry in document["annotations"]]
    assert ids == list(range(1, len(ids) + 1)), "0 is no match in pycocotools' evaluation"


def test_results_are_evaluated_by_pycocotools(exported: Path) -> None:
    read = COCO(exported / "annotations" / "instances_default.json")
    scored = [entry for entry in read.dataset["annotations"] if "score" in entry]
    assert len(read.loadRes([dict(entry) for entry in scored]).anns) == len(scored)


def test_polygons_are_an_option_and_segments_with_holes_stay_masks(tmp_path: Path) -> None:
    write("coco", results(), CLASSES, tmp_path, ExportOptions(polygons=True))
    read = COCO(tmp_path / "annotations" / "instances_default.json")
    kinds = set()
    for entry in read.anns.values():
        image = results()[entry["image_id"] - 1]
        mask = masks(image)[entry["segment_id"]]
        kinds.add(type(entry["segmentation"]))
        if isinstance(entry["segmentation"], dict):
            assert (read.annToMask(entry) == mask).all()
            continue
        filled = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(entry["segmentation"], *mask.shape)))
        grown = np.pad(mask, 1)
        near = np.logical_or.reduce(
            [np.roll(grown, shift, (0, 1)) for shift in [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]]
        )
        assert not (filled & ~near[1:-1, 1:-1]).any(), "pycocotools' own rule adds pixels at the edge, no others"
    assert kinds == {dict, list}


def test_supervision_reads_exactly_the_masks(exported: Path) -> None:
    sv = pytest.importorskip("supervision", reason="supervision is in the extra `test`")
    data = sv.DetectionDataset.from_coco(
        str(exported / "images"), str(exported / "annotations" / "instances_default.json"), force_masks=True
    )
    assert data.classes == [info.name for info in CLASSES]
    assert len(data) == len(WRITTEN)
    for path, _, detections in data:
        image = results()[WRITTEN.index(Path(path).name)]
        found = {
            (CLASSES[int(class_id)].name, mask.tobytes())
            for class_id, mask in zip(detections.class_id, detections.mask, strict=True)
        }
        expected = {
            (CLASSES[segment.class_id or 0].name, masks(image)[segment.segment_id].tobytes())
            for segment in image.segments if segment.segment_id in masks(image)
        }  # fmt: skip
        assert found == expected
