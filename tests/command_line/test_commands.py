import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from model_store.labelled import open_format
from segsort.masks import decode_rle
from tests.conftest import BLOCK_CLASSES, Blocks

COMMAND = Path(sys.executable).with_name("segsort")


def segsort(*arguments: object, data: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with the environment of a new user, and the code of this process."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(data), "SEGSORT_DATA_DIR": str(data)}
    environment |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)], env=environment, capture_output=True, text=True, check=False, cwd=data
    )


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(Blocks("val")[0].image).save(path)
    return path


def test_segment_writes_overlay_labels_json_and_exemplars(tiny_release: Path, photo: Path, tmp_path: Path) -> None:
    done = segsort("segment", photo, "--sheets", "--release", tiny_release, "--out", tmp_path / "out", data=tmp_path)
    assert done.returncode == 0, done.stderr
    body = json.loads((tmp_path / "out" / "photo.json").read_text())
    labels = np.asarray(Image.open(tmp_path / "out" / "photo.labels.png"))
    for segment in body["segments"]:
        mask = decode_rle(segment["mask"]["counts"], tuple(segment["mask"]["size"]))
        assert (labels[mask] == segment["class_id"]).all()
    with Image.open(tmp_path / "out" / "photo.overlay.png") as overlay:
        assert overlay.width == 96
        assert overlay.height > 72, "a legend is below the image"
    with Image.open(tmp_path / "out" / "photo.exemplars.png") as sheet:
        assert sheet.height >= 120 * len(body["segments"])


def test_segment_json_prints_one_document_and_writes_nothing(tiny_release: Path, photo: Path, tmp_path: Path) -> None:
    done = segsort("segment", photo, photo, "--json", "--release", tiny_release, data=tmp_path)
    bodies = json.loads(done.stdout)
    assert [b["image"] for b in bodies] == [str(photo)] * 2
    assert {s["class_name"] for s in bodies[0]["segments"]} <= {info.name for info in BLOCK_CLASSES}
    assert not (tmp_path / "segments").exists()


def test_a_bad_file_is_named_and_the_others_are_still_answered(tiny_release: Path, photo: Path, tmp_path: Path) -> None:
    bad, gone = tmp_path / "bad.jpg", tmp_path / "gone.jpg"
    bad.write_text("no image")
    done = segsort("segment", bad, photo, gone, "--json", "--release", tiny_release, data=tmp_path)
    assert done.returncode == 3
    assert "bad.jpg" in done.stderr
    assert "gone.jpg" in done.stderr
    assert len(json.loads(done.stdout)) == 1


def test_files_of_one_name_do_not_overwrite_each_other(tiny_release: Path, photo: Path, tmp_path: Path) -> None:
    twin = tmp_path / "elsewhere" / "photo.png"
    twin.parent.mkdir()
    Image.fromarray(Blocks("val")[1].image).save(twin)
    done = segsort("segment", photo, twin, "--release", tiny_release, "--out", tmp_path / "out", data=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("*.json"))) == 2


def test_a_folder_is_segmented_and_exported(tiny_release: Path, photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, name in enumerate(("a.PNG", "b.png")):
        Image.fromarray(Blocks("val")[i].image).save(folder / name, "PNG")
    (folder / "broken.jpg").write_text("no image")
    (folder / "notes.txt").write_text("no image")
    done = segsort(
        "segment", folder, photo, "--release", tiny_release, "--out", tmp_path / "out", "--export", "png",
        "--with-images", data=tmp_path,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "notes.txt: skipped, not an image by its suffix" in done.stderr
    assert "broken.jpg: The content is not an image of a supported format" in done.stderr
    assert "3 images, " in done.stderr
    data = open_format(tmp_path / "out", "folder", "any")
    assert [data.image_file(i).name.lower() for i in range(len(data))] == ["a.png", "b.png", "photo.png"]
    answers = json.loads(segsort("segment", photo, "--json", "--release", tiny_release, data=tmp_path).stdout)
    expected = np.full((72, 96), 255)
    for segment in answers[0]["segments"]:
        if segment["known"]:
            expected[decode_rle(segment["mask"]["counts"], (72, 96))] = segment["class_id"]
    np.testing.assert_array_equal(data[2].labels, expected)


def test_an_image_with_a_place_on_a_map_is_exported_there(tiny_release: Path, tmp_path: Path) -> None:
    tags = [
        (33550, 12, 3, (0.5, 0.5, 0.0), True),  # metres of a pixel
        (33922, 12, 6, (0, 0, 0, 500_000.0, 5_400_000.0, 0), True),  # the place of the upper left corner
        (34735, 3, 12, (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32632), True),  # UTM zone 32N
    ]
    tifffile.imwrite(tmp_path / "field.tif", Blocks("val")[0].image, photometric="rgb", extratags=tags)
    done = segsort(
        "segment", tmp_path / "field.tif", "--release", tiny_release, "--out", tmp_path / "out", "--export", "geojson",
        data=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "out" / "field.geojson").read_text())
    assert document["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32632"
    points = np.array([
        point for feature in document["features"] for part in feature["geometry"]["coordinates"] for ring in part
        for point in ring
    ])  # fmt: skip
    assert points.min(axis=0).tolist() == [500_000, 5_400_000 - 36]
    assert points.max(axis=0).tolist() == [500_048, 5_400_000]


def test_an_export_that_cannot_be_made_is_refused(tiny_release: Path, photo: Path, tmp_path: Path) -> None:
    done = segsort("segment", photo, "--release", tiny_release, "--export", "psd", data=tmp_path)
    assert done.returncode != 0
    assert "'psd' is no format of exports; choose coco, png" in done.stderr
    done = segsort("segment", photo, "--release", tiny_release, "--export", "coco", "--json", data=tmp_path)
    assert "give one of the two" in done.stderr
    (tmp_path / "empty").mkdir()
    done = segsort("segment", tmp_path / "empty", "--release", tiny_release, data=tmp_path)
    assert "has no images" in done.stderr


def test_releases_can_be_listed_and_verified(tmp_path: Path) -> None:
    listed = json.loads(segsort("releases", "list", "--json", data=tmp_path).stdout)
    assert [(entry["name"], entry["active"]) for entry in listed] == [("general", False), ("streets", True)]
    assert segsort("releases", "verify", data=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("segment", "x.jpg", "--release", "nowhere"), "nowhere"),
        (("evaluate", "streets", "--dataset", "nothing"), "nothing"),
        (("evaluate", "streets", "--dataset", "camvid", "--root", "/nowhere"), "/nowhere"),
        (("build", "--dataset", "streets", "--embedder", "/nowhere", "--out", "x"), "/nowhere"),
        (("train", "--dataset", "streets", "--out", "run", "--set", "steps"), "steps"),
        (("train", "--dataset", "streets", "--out", "run", "--set", "stepps=3"), "stepps"),
    ],
)
def test_invalid_input_is_one_clear_line_and_not_a_traceback(
    arguments: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    done = segsort(*arguments, data=tmp_path)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr
