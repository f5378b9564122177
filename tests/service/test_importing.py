"""POST /import: the labelled images of an archive become exemplars."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from model_store.labelled import IGNORE
from model_store.workers.stopping import Stop, stopping_with
from segsort.masks import decode_rle
from service.editing.importing import IMPORTS, unpack
from service.problems import CallerLeft
from service.settings import Settings
from tests import hostile_images as hostile
from tests.conftest import BLOCK_CLASSES, Blocks
from tests.service.conftest import encoded


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, one in files.items():
            archive.writestr(name, one)
    return content.getvalue()


def folder_files(count: int = 2, prefix: str = "export/") -> dict[str, bytes]:
    """A data set of blocks in the format `folder`, with a new class in place of the first one."""
    classes = [{"name": info.name if i else "chalk", "color": list(info.color)} for i, info in enumerate(BLOCK_CLASSES)]
    files = {f"{prefix}classes.json": json.dumps({"classes": classes, "ignore": IGNORE}).encode()}
    for i in range(count):
        image, labels, _ = Blocks("train")[i]
        files[f"{prefix}images/block{i}.png"] = encoded(image)
        files[f"{prefix}masks/block{i}.png"] = encoded(labels)
    return files


def coco_files() -> dict[str, bytes]:
    image, labels, _ = Blocks("train")[0]
    class_id = int(np.bincount(labels[labels != IGNORE]).argmax())
    y, x = np.nonzero(labels == class_id)
    box = [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1]
    ring = [box[0], box[1], box[2], box[1], box[2], box[3], box[0], box[3]]
    document = {
        "images": [{"id": 7, "file_name": "block.png", "width": image.shape[1], "height": image.shape[0]}],
        "categories": [{"id": 3, "name": "chalk"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "segmentation": [ring], "iscrowd": 0, "area": 1, "bbox": box}
        ],
    }
    return {"images/block.png": encoded(image), "annotations/instances_train.json": json.dumps(document).encode()}


def sent(client: TestClient, files: dict[str, bytes], **query: str) -> Any:
    return client.post("/import", content=zipped(files), params=query)


def test_images_of_an_archive_become_exemplars_one_edit_each(client: TestClient) -> None:
    before = client.get("/exemplars").json()["total"]
    response = sent(client, folder_files() | {"export/images/._block0.png": b"left", "export/images/bare.png": b"x"})
    assert response.status_code == 201, response.text
    body = response.json()
    assert body["format"] == "folder"
    assert [image["name"] for image in body["images"]] == ["images/block0.png", "images/block1.png"]
    assert [image["revision"] for image in body["images"]] == [1, 2]
    assert {one["name"]: one["reason"] for one in body["skipped"]} == {
        "images/._block0.png": "left by a file manager or an editor",
        "images/bare.png": "no mask",
    }
    added = sum(image["exemplars"] for image in body["images"])
    assert added > 0
    assert client.get("/exemplars").json()["total"] == before + added
    assert "chalk" in {info["name"] for info in client.get("/classes").json()}
    assert client.get("/edits").json()[0]["reason"] == "imported from folder"


def test_an_archive_that_is_sent_again_adds_nothing(client: TestClient) -> None:
    first = sent(client, folder_files()).json()
    again = sent(client, folder_files())
    assert again.status_code == 200
    assert [image["revision"] for image in again.json()["images"]] == [None, None]
    assert [image["already"] for image in again.json()["images"]] == [image["exemplars"] for image in first["images"]]


def test_an_empty_release_is_taught_by_an_archive(start: Any, empty_release: Path) -> None:
    image, labels, _ = Blocks("train")[0]
    with start(release=str(empty_release)) as client:
        sent(client, folder_files(1))
        answer = client.post("/segment", content=encoded(image)).json()
    named = {segment["class_name"] for segment in answer["segments"]}
    assert named <= {"chalk", *(info.name for info in BLOCK_CLASSES[1:])}
    right = 0
    for segment in answer["segments"]:
        inside = labels[decode_rle(segment["mask"]["counts"], labels.shape)]
        inside = inside[inside != IGNORE]
        majority = int(np.bincount(inside, minlength=1).argmax())
        right += segment["class_name"] == ("chalk" if majority == 0 else BLOCK_CLASSES[majority].name)
    assert right >= 0.8 * len(answer["segments"])


def test_other_formats_are_found_and_may_be_named(client: TestClient) -> None:
    body = sent(client, coco_files()).json()
    assert (body["format"], body["images"][0]["exemplars"] > 0) == ("coco", True)
    assert sent(client, coco_files(), format="coco").status_code == 200
    wrong = sent(client, coco_files(), format="folder")
    assert wrong.status_code == 422
    assert "/tmp" not in wrong.text


def test_an_image_that_cannot_be_used_does_not_stop_the_others(client: TestClient) -> None:
    files = folder_files(3)
    files["export/masks/block1.png"] = encoded(np.full((5, 5), 1, np.uint8))
    files["export/images/block2.png"] = b"no image"
    body = sent(client, files).json()
    assert [image["name"] for image in body["images"]] == ["images/block0.png"]
    reasons = {one["name"]: one["reason"] for one in body["skipped"]}
    assert "masks/block1.png is 5x5, its image block1.png 96x72" in reasons["images/block1.png"]
    assert "not an image of a supported format" in reasons["images/block2.png"]


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 400, "contains no archive"),
        (b"no archive", 415, "not a complete ZIP archive"),
        (zipped(folder_files())[:500], 422, "not a complete ZIP archive"),
        (zipped(folder_files()).replace(b"IDAT", b"IDEA"), 422, "not a complete ZIP archive"),
        (zipped({"a" * 300 + ".png": b"x"}), 422, "names of files that cannot be written"),
        (zipped({"a": b"x", "a/b.png": b"x"}), 422, "names of files that cannot be written"),
        (zipped({"notes.txt": b"none"}), 422, "no format that is known"),
        (
            zipped(folder_files(1) | {"export/masks/block0.png": b"no mask"}),
            422,
            "No image of the archive could be used",
        ),
    ],
)
def test_what_cannot_be_imported_is_said(client: TestClient, content: bytes, status: int, words: str) -> None:
    response = client.post("/import", content=content)
    assert response.status_code == status
    assert words in response.text
    assert "segsort-import-" not in response.text


def test_an_archive_cannot_write_outside_or_fill_the_disk(start: Any) -> None:
    files = folder_files(1) | {"export/../../../evil.png": b"x", "export/images/../../../evil2.png": b"x"}
    with start(max_bytes=300_000) as client:
        assert sent(client, files).status_code == 201
        bomb = client.post("/import", content=zipped({"images/zeros.bmp": bytes(6_100_000)}))
        assert (bomb.status_code, "too large" in bomb.text) == (413, True)
        many = client.post("/import", content=zipped({f"{n}": b"" for n in range(5001)})[:299_000])
        assert many.status_code in (413, 422)
    assert not [file for place in (Path(gettempdir()), Path("/"), Path.cwd()) for file in place.glob("evil*")]


@pytest.mark.parametrize("split", ["../val", "/etc", "..", ".", "a/../..", "a\\b", "-x", "a\0b", "x" * 101])
def test_a_part_of_the_data_is_a_name_and_no_path(client: TestClient, split: str) -> None:
    problem = sent(client, folder_files(1), split=split)
    assert problem.status_code == 422
    assert {"received", "allowed", "fix"} <= set(problem.json())


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({"export/": b"", "export/images/": b""}, 422),
        (folder_files(1) | {"export/classes.json": b"[" * 100_000}, 422),
        (folder_files(1) | {f"export/{'long' * 50}{n}/": b"" for n in range(300)}, 413),
    ],
    ids=["folders alone", "deep JSON", "a long list of files"],
)
def test_an_unusual_archive_is_refused(
    client: TestClient, files: dict[str, bytes], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.editing.importing._MOST_AT_ONCE", 70_000)
    problem = sent(client, files)
    assert problem.status_code == status
    assert {"received", "allowed", "fix"} <= set(problem.json())


def test_only_curators_import(start: Any) -> None:
    from service.http.keys import new_key

    secret, key = new_key("viewer", "reader")
    with start(api_keys=key.line) as client:
        response = client.post("/import", content=zipped(folder_files()), headers={"Authorization": f"Bearer {secret}"})
        assert response.status_code == 403


def test_documents_that_are_slow_or_deep_are_refused_and_the_service_stays(
    start: Callable[..., TestClient], tmp_path: Path
) -> None:
    files = {"images/block.png": encoded(Blocks("train")[0].image)}
    deep_xml = b"<annotations><version>1.1</version>" + b"<image>" * 200_000
    deep_json = b'{"images": ' + b"[" * 500_000
    entities = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa">]><annotations><image>&a;</image></annotations>'
    entries = {"images": [], "categories": [{"id": 1, "name": "a"}], "annotations": [{"id": 1}] * 400_000}
    with start() as client:
        for name, content in {
            "annotations.xml": deep_xml,
            "annotations/instances_train.json": deep_json,
            "annotations.xml ": entities,
            "annotations/instances_train.json ": json.dumps(entries).encode(),
        }.items():
            answer = sent(client, files | {name.strip(): content})
            assert answer.status_code == 422, name
            assert {"received", "allowed", "fix"} <= answer.json().keys()
        assert sent(client, folder_files()).status_code == 201


def test_reading_labels_ends_at_its_limit_with_a_problem(start: Callable[..., TestClient]) -> None:
    files = folder_files(1) | {"export/masks/block0.png": hostile.bmp_of_runs(3000)}
    with start(decode_s=0.5, max_pixels=40_000_000) as client:
        answer = sent(client, files)
        assert answer.status_code == 422
        assert "took too much" in str(answer.json()["received"])
        survey = client.post("/releases/survey", content=zipped(files))
        assert survey.status_code == 422
        assert "took too much" in survey.json()["detail"]


def test_an_archive_that_takes_too_long_to_unpack_is_refused_and_leaves_nothing(
    client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.editing.importing.UNPACK_S", -1.0)
    for path in ("/import", "/releases/survey"):
        refused = client.post(path, content=zipped(folder_files(2)), headers={"Content-Type": "application/zip"})
        assert refused.status_code == 422
        assert refused.json()["detail"] == "Unpacking the archive took too long, and was ended."
    assert not list((settings.data_dir / IMPORTS).iterdir())
    assert not list((settings.data_dir / "labelled").iterdir())


def test_unpacking_ends_when_the_caller_leaves(tmp_path: Path) -> None:
    """Of a large file in an archive, not only between two files."""
    content, stop = zipped({"a": bytes(50_000_000)}), Stop()
    read, real = [], zipfile.ZipExtFile.read

    def leave(self: zipfile.ZipExtFile, size: int = -1) -> bytes:
        read.append(size)
        if len(read) == 3:
            stop.set()
        return real(self, size)

    with pytest.MonkeyPatch.context() as patch, stopping_with(stop):
        patch.setattr(zipfile.ZipExtFile, "read", leave)
        with pytest.raises(CallerLeft):
            unpack(io.BytesIO(content), tmp_path / "out", 10**9)
    assert len(read) == 3


def test_what_a_killed_import_left_is_removed_at_the_start(
    start: Callable[..., TestClient], settings: Settings
) -> None:
    left = settings.data_dir / IMPORTS / ".archive.killed"
    (left / "images").mkdir(parents=True)
    os.utime(left, (0, 0))
    with start() as client:
        assert not left.exists()
        added = client.post("/import", content=zipped(folder_files(1)), headers={"Content-Type": "application/zip"})
        assert added.status_code == 201
    assert not list((settings.data_dir / IMPORTS).iterdir())


def test_an_entry_that_could_inflate_to_any_size_at_once_is_refused(client: TestClient) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("images/a.png", bytes(1_000_000), zipfile.ZIP_BZIP2)
    answer = client.post("/import", content=content.getvalue())
    assert answer.status_code == 422
    assert "Deflate" in answer.json()["allowed"]
