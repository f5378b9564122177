"""Writing of exports: into a folder, as an archive, as one file."""

import gc
import io
import json
import weakref
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model_store.exporting import (
    EXPORTS,
    README,
    ExportImage,
    ExportOptions,
    ExportSegment,
    archive,
    download,
    write,
)
from tests.model_store.exporting.samples import CLASSES, WRITTEN, expected_labels, image_file, masks, results


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", EXPORTS)
def test_a_folder_and_an_archive_have_the_same_files(name: str, tmp_path: Path) -> None:
    write(name, results(), CLASSES, tmp_path)
    content = b"".join(archive(name, results(), CLASSES))
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        assert zipped.testzip() is None
        assert {entry: zipped.read(entry) for entry in zipped.namelist()} == _files(tmp_path)


@pytest.mark.parametrize("name", EXPORTS)
def test_equal_results_give_equal_archives(name: str) -> None:
    content = b"".join(archive(name, results(), CLASSES))
    assert content == b"".join(archive(name, results(), CLASSES))
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        assert {entry.date_time for entry in zipped.infolist()} == {(1980, 1, 1, 0, 0, 0)}, "not the time of writing"


@pytest.mark.parametrize("name", EXPORTS)
def test_images_are_taken_one_at_a_time(name: str) -> None:
    made: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    def images() -> Iterator[ExportImage]:
        for i in range(6):
            alive.append(sum(label_map() is not None for label_map in made))
            labels = np.zeros((20, 20), dtype=np.int32)
            made.append(weakref.ref(labels))
            yield ExportImage(f"{i}.png", labels, [ExportSegment(f"s{i}", 0, 0.5, True)], str(i))

    pieces = archive(name, images(), CLASSES)
    assert not made, "nothing is read before the first piece is taken"
    b"".join(pieces)
    assert len(made) == 6
    assert max(alive) <= 1, "only the image before is still there when the next is read"


def test_pieces_come_while_images_are_read() -> None:
    read: list[int] = []

    def images() -> Iterator[ExportImage]:
        for i, image in enumerate(results()):
            read.append(i)
            yield image

    pieces = archive("png", images(), CLASSES)
    assert len(next(pieces)) > 0
    assert read == [0]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_archive_can_be_abandoned(name: str) -> None:
    pieces = archive(name, results(), CLASSES)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    gc.collect()  # an open temporary file would warn, which is an error


@pytest.mark.parametrize("name", EXPORTS)
def test_no_image_and_no_class_is_an_export_too(name: str, tmp_path: Path) -> None:
    summary = write(name, [], [], tmp_path)
    assert (summary.images, summary.segments, summary.unknown) == (0, 0, 0)
    assert (tmp_path / README).is_file()


def test_the_summary_counts_what_is_exported(tmp_path: Path) -> None:
    images = results()
    summary = write("coco", images, CLASSES, tmp_path)
    assert summary.images == len(images)
    assert summary.segments == sum(len(masks(image)) for image in images)
    assert summary.unknown == sum((image.labels == 5).any() for image in images)
    assert summary.renamed == {"Photo_2.PNG": "Photo.PNG"}


@pytest.mark.parametrize("name", EXPORTS)
def test_the_readme_states_what_differs_from_the_results(name: str, tmp_path: Path) -> None:
    images = results()
    write(name, images, CLASSES, tmp_path, ExportOptions(release="tissue 3"))
    text = (tmp_path / README).read_text(encoding="utf-8")
    unknown = sum((image.labels == 5).any() for image in images)
    assert f"release tissue 3), format {name}." in text
    assert f"Segments without a known class: {unknown}; " in text
    assert "Photo_2.PNG\t'Photo.PNG'" in text


@pytest.mark.parametrize("name", EXPORTS)
def test_the_files_name_the_release_and_its_digest(name: str, tmp_path: Path) -> None:
    files = {
        "coco": "annotations/instances_default.json", "png": "classes.json", "color-png": "classes.json",
        "yolo": "data.yaml", "geojson": "a.geojson", "label-studio": "predictions.json", "cvat": "annotations.xml",
        "labelme": "a.json", "csv": "areas.csv",
    }  # fmt: skip
    image = results(1)[0]._replace(name="a.png")
    write(name, [image], CLASSES, tmp_path / "with", ExportOptions(release="tissue 3", digest="3f" * 32))
    write(name, [image], CLASSES, tmp_path / "without", ExportOptions(release="tissue 3"))
    for file in (files[name], README):
        text = (tmp_path / "with" / file).read_text(encoding="utf-8")
        assert "tissue 3" in text
        assert text.count("3f" * 32) >= 1, file
        assert "3f" * 32 not in (tmp_path / "without" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EXPORTS)
def test_image_files_are_stored_under_unique_names(name: str, tmp_path: Path) -> None:
    images = results()
    write(name, images, CLASSES, tmp_path)
    folder = tmp_path if name == "labelme" else tmp_path / "images"
    stored = {file.name: file.read_bytes() for file in folder.glob("*") if file.suffix.lower() in (".png", ".jpg")}
    expected = {} if name in ("geojson", "csv") else {w: i.content for w, i in zip(WRITTEN, images, strict=True)}
    assert stored == expected


@pytest.mark.parametrize("name", EXPORTS)
def test_a_name_that_leads_outside_stays_inside(name: str, tmp_path: Path) -> None:
    image = results(1)[0]._replace(name="../../../evil.png", content=image_file((37, 53)))
    write(name, [image], CLASSES, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    with zipfile.ZipFile(io.BytesIO(b"".join(archive(name, [image], CLASSES)))) as zipped:
        assert not any(".." in entry or entry.startswith("/") for entry in zipped.namelist())


@pytest.mark.parametrize(
    ("name", "file", "kind"),
    [
        ("coco", "Größe 1-coco.json", "application/json"),
        ("png", "Größe 1-png.zip", "application/zip"),
        ("color-png", "Größe 1-color-png.zip", "application/zip"),
        ("yolo", "Größe 1-yolo.zip", "application/zip"),
        ("geojson", "Größe 1.geojson", "application/geo+json"),
        ("label-studio", "Größe 1-label-studio.json", "application/json"),
        ("cvat", "Größe 1-cvat.xml", "application/xml"),
        ("labelme", "Größe 1.json", "application/json"),
        ("csv", "Größe 1-csv.csv", "text/csv"),
    ],
)
def test_one_image_is_one_file(name: str, file: str, kind: str, tmp_path: Path) -> None:
    (image,) = results(1)
    found = download(name, image, CLASSES)
    assert (found.name, found.media_type) == (file, kind)
    write(name, [image], CLASSES, tmp_path)
    if kind == "application/zip":
        with zipfile.ZipFile(io.BytesIO(found.content)) as zipped:
            assert {entry: zipped.read(entry) for entry in zipped.namelist()} == _files(tmp_path)
    else:
        assert found.content in _files(tmp_path).values()


def test_labels_without_their_image_name_the_file_of_the_user() -> None:
    image = results(1)[0]._replace(name="scan")
    document = json.loads(download("coco", image, CLASSES).content)
    assert document["images"][0]["file_name"] == "scan"
    with zipfile.ZipFile(io.BytesIO(b"".join(archive("coco", [image], CLASSES)))) as zipped:
        assert "images/scan.png" in zipped.namelist(), "a stored image has a suffix"
        assert b'"scan.png"' in zipped.read("annotations/instances_default.json")


@pytest.mark.parametrize("name", EXPORTS)
def test_a_class_that_is_not_listed_is_refused(name: str, tmp_path: Path) -> None:
    image = results(1)[0]
    with pytest.raises(ValueError, match=r"segment image0-3 has the class 3; the classes are \[0, 1, 2\]"):
        write(name, [image], CLASSES[:3], tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((4, 4), 7, dtype=np.int32), "labels are 7..7; they must be -1..6, the positions of 7 segments"),
        (np.full((4, 4), -2, dtype=np.int32), r"labels are -2..-2; they must be -1"),
        (np.zeros((4, 4), dtype=np.uint8), r"labels are uint8 \(4, 4\); they must be signed integers"),
        (np.zeros((4, 4, 1), dtype=np.int32), r"labels are int32 \(4, 4, 1\)"),
        (np.zeros((0, 4), dtype=np.int32), r"labels are int32 \(0, 4\)"),
    ],
)
def test_labels_that_fit_no_segments_are_refused(labels: np.ndarray, message: str, tmp_path: Path) -> None:
    image = results(1)[0]._replace(labels=labels)
    with pytest.raises(ValueError, match=message):
        write("csv", [image], CLASSES, tmp_path)


def test_an_unknown_format_is_refused_at_once(tmp_path: Path) -> None:
    for call in (lambda: write("gif", [], [], tmp_path / "out"), lambda: archive("gif", [], []),
                 lambda: download("gif", results(1)[0], CLASSES)):  # fmt: skip
        with pytest.raises(ValueError, match="'gif' is no format of exports; choose coco, png, "):
            call()
    assert not (tmp_path / "out").exists()


def test_classes_that_a_format_cannot_store_are_refused_before_the_first_piece() -> None:
    strange = (CLASSES[0].model_copy(update={"class_id": 255}),)
    with pytest.raises(ValueError, match=r"class 255 does not fit a PNG, whose ids are 0..254; export as coco"):
        archive("png", [], strange)


@pytest.mark.parametrize("name", EXPORTS)
def test_labels_of_any_integer_type_and_layout_are_taken(name: str, tmp_path: Path) -> None:
    (image,) = results(1)
    other = image._replace(labels=np.asfortranarray(image.labels.astype(np.int64)))
    assert list(archive(name, [other], CLASSES)) == list(archive(name, [image], CLASSES))


@pytest.mark.parametrize("name", EXPORTS)
def test_an_image_without_known_segments_has_no_labels_but_an_entry(name: str, tmp_path: Path) -> None:
    labels = np.zeros((5, 6), dtype=np.int32)
    images = [
        ExportImage("guessed.png", labels, [ExportSegment("a", 1, 0.3, False)], "g"),
        ExportImage("unvoted.png", labels, [ExportSegment("b", None, None, True)], "u"),
        ExportImage("bare.png", labels - 1, [], "b"),
    ]
    summary = write(name, images, CLASSES, tmp_path)
    assert (summary.images, summary.segments, summary.unknown) == (3, 0, 2)
    assert all((expected_labels(image) == 255).all() for image in images)
    text = b"".join(content for path, content in _files(tmp_path).items() if path != README).decode(errors="ignore")
    if name in ("coco", "geojson", "label-studio", "cvat", "csv"):
        assert all(image.name in text for image in images)
    if name == "geojson":
        assert json.loads((tmp_path / "guessed.geojson").read_bytes())["features"][0]["properties"]["class"] is None
