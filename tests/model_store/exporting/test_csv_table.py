"""The export `csv`."""

import csv
from pathlib import Path

import pytest

from model_store.exporting import write
from tests.model_store.exporting.samples import CLASSES, WRITTEN, expected_labels, results


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "areas.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_each_image_has_a_row_for_each_class_and_one_for_the_rest(tmp_path: Path) -> None:
    write("csv", results(), CLASSES, tmp_path)
    rows = _rows(tmp_path)
    names = [*(info.name for info in CLASSES), ""]
    assert [(row["image"], row["class"]) for row in rows] == [(name, kind) for name in WRITTEN for kind in names]
    for i, (image, name) in enumerate(zip(results(), WRITTEN, strict=True)):
        labels = expected_labels(image)
        own = [row for row in rows if row["image"] == name]
        assert {row["image_id"] for row in own} == {f"image{i}"}
        for row in own:
            number = int(row["class_id"] or 255)
            area = int((labels == number).sum())
            assert int(row["area"]) == area
            assert float(row["share"]) == pytest.approx(area / labels.size)
        assert sum(float(row["share"]) for row in own) == pytest.approx(1)


def test_rows_count_segments_and_average_confidences_by_area(tmp_path: Path) -> None:
    (image,) = results(1)
    write("csv", [image], CLASSES, tmp_path)
    street, sky, nowhere, tree, rest = _rows(tmp_path)
    assert [row["segments"] for row in (street, sky, nowhere, tree, rest)] == ["2", "2", "0", "1", "1"]
    areas = [int((image.labels == number).sum()) for number in range(7)]
    mean = (areas[1] * 0.61239 + areas[4] * 0.5) / (areas[1] + areas[4])
    assert float(sky["confidence"]) == pytest.approx(mean, abs=1e-4)
    assert float(street["confidence"]) == 0.9, "the other segment has none"
    assert (nowhere["confidence"], rest["confidence"]) == ("", "")


def test_a_confidence_of_zero_is_no_missing_one(tmp_path: Path) -> None:
    (image,) = results(1)
    segments = [segment._replace(confidence=0.0) for segment in image.segments]
    write("csv", [image._replace(segments=segments)], CLASSES, tmp_path)
    assert [row["confidence"] for row in _rows(tmp_path)] == ["0.0", "0.0", "", "0.0", ""]


def test_lines_end_as_rfc_4180_asks_and_names_are_quoted(tmp_path: Path) -> None:
    write("csv", results(1), CLASSES, tmp_path)
    content = (tmp_path / "areas.csv").read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") == 6
    head = b"image,image_id,class_id,class,segments,area,share,confidence,release,release_digest\r\n"
    assert content.startswith(head)
    assert b'"sky, ""blue"" & <clear>"' in content
