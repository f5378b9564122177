"""The export `yolo`."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import ndimage

from model_store.card import ClassInfo
from model_store.exporting import ExportImage, ExportSegment, write
from model_store.exporting.yolo import yaml_text
from model_store.labelled.polygons import fill_rings
from tests.model_store.exporting.samples import CLASSES, WRITTEN, expected_labels, results


def _lines(file: Path) -> list[tuple[int, np.ndarray]]:
    """Class and points, as shares, of each line."""
    found = []
    for line in file.read_text().splitlines():
        number, *shares = line.split(" ")
        found.append((int(number), np.array([float(share) for share in shares]).reshape(-1, 2)))
    return found


def test_lines_fill_to_exactly_the_labels(tmp_path: Path) -> None:
    write("yolo", results(), CLASSES, tmp_path)
    for image, name in zip(results(), WRITTEN, strict=True):
        H, W = image.labels.shape
        labels = np.full((H, W), 255, dtype=np.uint8)
        for number, points in _lines(tmp_path / "labels" / f"{Path(name).stem}.txt"):
            assert len(points) >= 3
            assert points.min() >= 0
            assert points.max() <= 1
            mask = fill_rings([points * (W, H)], (H, W))
            assert (labels[mask] == 255).all(), "no two lines cover a pixel"
            labels[mask] = number
        assert (labels == expected_labels(image)).all()


def test_the_yaml_names_all_classes(tmp_path: Path) -> None:
    write("yolo", results(1), CLASSES, tmp_path)
    document = yaml.safe_load((tmp_path / "data.yaml").read_text(encoding="utf-8"))
    names = dict(enumerate(info.name for info in CLASSES))
    assert document == {"train": "images", "val": "images", "release": "segsort", "names": names}


@pytest.mark.parametrize(
    "text", ["plain", 'a "b" \\ c', "#no: comment", "tab\t and\x85 \u2028 end\x7f", "木 🌲", "\ufeff", "yes", ""]
)
def test_any_name_is_a_text_in_yaml(text: str) -> None:
    assert yaml.safe_load(f"names:\n  0: {yaml_text(text)}\n") == {"names": {0: text}}


def test_ids_with_gaps_become_positions(tmp_path: Path) -> None:
    classes = [ClassInfo(class_id=i, name=str(i), color=(i, 0, 0)) for i in (2, 9)]
    image = ExportImage("a.png", np.zeros((3, 3), np.int32), [ExportSegment("a", 9, None, True)], "a")
    write("yolo", [image], classes, tmp_path)
    assert [number for number, _ in _lines(tmp_path / "labels" / "a.txt")] == [1]


def test_supervision_reads_the_labels(tmp_path: Path) -> None:
    sv = pytest.importorskip("supervision", reason="supervision is in the extra `test`")
    write("yolo", results(), CLASSES, tmp_path)
    data = sv.DetectionDataset.from_yolo(
        str(tmp_path / "images"), str(tmp_path / "labels"), str(tmp_path / "data.yaml"), force_masks=True
    )
    assert data.classes == [info.name for info in CLASSES]
    assert len(data) == len(WRITTEN)
    for path, _, detections in data:
        image = results()[WRITTEN.index(Path(path).name)]
        expected = expected_labels(image)
        for class_id in range(len(CLASSES)):
            found = detections.mask[detections.class_id == class_id].any(axis=0)
            wanted = expected == class_id
            square = np.ones((3, 3), dtype=bool)
            assert not (ndimage.binary_erosion(wanted, square) & ~found).any(), "it rounds points to whole pixels"
            assert not (found & ~ndimage.binary_dilation(wanted, square)).any(), "and fills their outlines, too"
