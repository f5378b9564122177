"""GET /export: answers in the formats of other tools."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pycocotools.coco import COCO
from scipy import ndimage

from model_store.exporting import EXPORTS
from model_store.images import decode_mask
from model_store.labelled import IGNORE, open_format
from segsort.masks import decode_rle
from service.records.database import Answered
from service.routes import exports
from service.routes.exports import Format
from service.routes.segmentations import find_answers
from tests.conftest import Blocks
from tests.service.conftest import encoded


def label_map(answer: dict[str, Any]) -> np.ndarray:
    """[H, W] class ids of known segments, IGNORE elsewhere."""
    size = (answer["height"], answer["width"])
    labels = np.full(size, IGNORE, dtype=np.uint8)
    for segment in answer["segments"]:
        if segment["known"] and segment["class_id"] is not None:
            labels[decode_rle(segment["mask"]["counts"], size)] = segment["class_id"]
    return labels


@pytest.fixture
def answers(client: TestClient) -> list[dict[str, Any]]:
    """Three answers, the oldest first."""
    return [client.post("/segment", content=encoded(Blocks("val")[i].image)).json() for i in range(3)]


def test_the_route_offers_every_format() -> None:
    assert set(get_args(Format)) == set(EXPORTS)


def test_an_answer_is_exported_as_coco(client: TestClient, answers: list[dict[str, Any]], tmp_path: Path) -> None:
    answer = answers[0]
    response = client.get("/export", params={"segmentation_id": answer["segmentation_id"]})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-disposition"].startswith('attachment; filename="')
    (tmp_path / "coco.json").write_bytes(response.content)
    coco, expected = COCO(tmp_path / "coco.json"), label_map(answer)
    found = np.full_like(expected, IGNORE)
    by_id = {category["id"]: category["name"] for category in coco.dataset["categories"]}
    names = [info["name"] for info in answer["classes"]]
    for annotation in coco.dataset["annotations"]:
        found[coco.annToMask(annotation) == 1] = names.index(by_id[annotation["category_id"]])
    np.testing.assert_array_equal(found, expected)
    segments = {segment["segment_id"]: segment for segment in answer["segments"]}
    for annotation in coco.dataset["annotations"]:
        assert annotation["score"] == pytest.approx(segments[annotation["segment_id"]]["confidence"], abs=5.1e-5)


@pytest.mark.parametrize("form", EXPORTS)
def test_every_format_is_exported_for_one_answer_and_for_many(
    client: TestClient, answers: list[dict[str, Any]], form: str
) -> None:
    one = client.get("/export", params={"format": form, "segmentation_id": answers[0]["segmentation_id"]})
    assert one.status_code == 200
    assert len(one.content) > 100
    many = client.get("/export", params={"format": form, "images": True})
    assert many.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(many.content)) as archive:
        assert archive.testzip() is None
        names = " ".join(archive.namelist())
        text = " ".join(archive.read(name).decode(errors="replace") for name in archive.namelist())
    for answer in answers:
        assert answer["segmentation_id"] in names + text


def test_an_archive_with_images_is_a_data_set_that_builds(
    client: TestClient, answers: list[dict[str, Any]], tmp_path: Path
) -> None:
    content = client.get("/export", params={"format": "png", "images": True}).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path)
    data = open_format(tmp_path, "folder", "any")
    assert len(data) == 3
    found = {data.image_file(i).stem: data[i] for i in range(3)}
    for i, answer in enumerate(answers):
        image, labels, _ = found[answer["segmentation_id"]]
        np.testing.assert_array_equal(labels, label_map(answer))
        np.testing.assert_array_equal(image, Blocks("val")[i].image)


def test_a_label_map_is_the_one_of_the_answer(client: TestClient, answers: list[dict[str, Any]]) -> None:
    response = client.get("/export", params={"format": "png", "segmentation_id": answers[1]["segmentation_id"]})
    content = response.content
    if response.headers["content-type"] == "application/zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read(next(name for name in archive.namelist() if name.endswith(".png")))
    indices = decode_mask(content).indices
    np.testing.assert_array_equal(indices, label_map(answers[1]))


def test_the_newest_answers_are_exported_without_ids(client: TestClient, answers: list[dict[str, Any]]) -> None:
    content = client.get("/export", params={"limit": 2}).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        document = json.loads(archive.read(next(name for name in archive.namelist() if name.endswith(".json"))))
    assert {image["file_name"].removesuffix(".png") for image in document["images"]} == {
        answer["segmentation_id"] for answer in answers[1:]
    }


def test_what_cannot_be_exported_is_said(client: TestClient, answers: list[dict[str, Any]]) -> None:
    missing = client.get("/export", params={"segmentation_id": "0" * 32})
    assert missing.status_code == 404
    assert "There is no such answer." in missing.text
    unknown = client.get("/export", params={"format": "psd"})
    assert unknown.status_code == 422
    assert "coco" in json.dumps(unknown.json())
    many = client.get("/export", params={"segmentation_id": [f"{n:032x}" for n in range(1001)]})
    assert (many.status_code, many.json()["received"]) == (422, 1001)


def test_without_answers_there_is_nothing_to_export(client: TestClient) -> None:
    response = client.get("/export")
    assert response.status_code == 404
    assert "There is no answer to export." in response.text


def test_an_empty_release_exports_segments_without_classes(start: Any, empty_release: Path, photo: bytes) -> None:
    with start(release=str(empty_release)) as client:
        answer = client.post("/segment", content=photo).json()
        for form in EXPORTS:
            response = client.get("/export", params={"format": form, "segmentation_id": answer["segmentation_id"]})
            assert response.status_code in (200, 422), form
            if response.status_code != 200:
                assert "The format cannot hold this export." in response.text


@pytest.mark.parametrize("form", ["coco", "label-studio", "cvat", "csv"])
def test_a_selection_is_exported_as_one_file(client: TestClient, answers: list[dict[str, Any]], form: str) -> None:
    ids = [answer["segmentation_id"] for answer in answers[:2]]
    response = client.post("/export", json={"segmentation_ids": ids, "format": form, "single": True})
    assert response.headers["content-type"].partition(";")[0] != "application/zip"
    assert [answer["segmentation_id"] in response.text for answer in answers] == [True, True, False]


def test_a_selection_as_coco_is_read_by_pycocotools(
    client: TestClient, answers: list[dict[str, Any]], tmp_path: Path
) -> None:
    ids = [answer["segmentation_id"] for answer in answers]
    (tmp_path / "coco.json").write_bytes(
        client.post("/export", json={"segmentation_ids": ids, "single": True}).raise_for_status().content
    )
    coco = COCO(tmp_path / "coco.json")
    by_id = {category["id"]: category["name"] for category in coco.dataset["categories"]}
    for image in coco.dataset["images"]:
        [answer] = [one for one in answers if one["segmentation_id"] in image["file_name"]]
        names, expected = [info["name"] for info in answer["classes"]], label_map(answer)
        found = np.full_like(expected, IGNORE)
        for annotation in coco.loadAnns(coco.getAnnIds([image["id"]])):
            found[coco.annToMask(annotation) == 1] = names.index(by_id[annotation["category_id"]])
        np.testing.assert_array_equal(found, expected)
    assert len(coco.dataset["images"]) == 3


def test_a_selection_has_the_names_of_the_files_that_were_sent(
    client: TestClient, answers: list[dict[str, Any]]
) -> None:
    ids = [answer["segmentation_id"] for answer in answers]
    names = {ids[0]: "deep/cells 1.png", ids[1]: "cells 1.png", "f" * 32: "of no answer.png"}
    body = {"segmentation_ids": ids, "names": names, "single": True}
    coco = client.post("/export", json=body).raise_for_status().json()
    assert [image["file_name"] for image in coco["images"]] == ["cells 1.png", "cells 1_2.png", f"{ids[2]}.png"]
    archive = client.post("/export", json=body | {"images": True, "single": False}).raise_for_status().content
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert {"images/cells 1.png", "images/cells 1_2.png"} <= set(opened.namelist())
    one = {"segmentation_ids": ids[:1], "names": names, "format": "labelme"}
    assert 'filename="cells 1.json"' in client.post("/export", json=one).headers["content-disposition"]
    refused = client.post("/export", json=body | {"names": {ids[0]: ""}})
    assert refused.status_code == 422


def test_a_format_with_a_file_for_each_image_cannot_be_one_file(
    client: TestClient, answers: list[dict[str, Any]]
) -> None:
    ids = [answer["segmentation_id"] for answer in answers]
    refused = client.post("/export", json={"segmentation_ids": ids, "format": "png", "single": True})
    assert refused.status_code == 422
    assert "coco" in str(refused.json()["allowed"])
    assert client.post("/export", json={"segmentation_ids": []}).status_code == 422
    assert client.post("/export", json={"segmentation_ids": ["a" * 32]}).status_code == 404


def test_the_newest_answer_of_each_image_is_exported(client: TestClient, answers: list[dict[str, Any]]) -> None:
    segment = answers[0]["segments"][0]["segment_id"]
    client.post(f"/segments/{segment}/label?relabel=false", json={"class_name": "kerb"}).raise_for_status()
    again = client.post(f"/segmentations/{answers[0]['segmentation_id']}/relabel").json()  # a label is another one
    text = client.get("/export", params={"latest": True, "single": True}).text
    expected = [again, *answers[1:]]
    assert all(answer["segmentation_id"] in text for answer in expected)
    assert answers[0]["segmentation_id"] not in text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_touching_segments_of_a_class_are_exported_as_one_object(
    client: TestClient, answers: list[dict[str, Any]], method: str
) -> None:
    answer = answers[0]
    if method == "GET":
        found = client.get("/export", params={"segmentation_id": answer["segmentation_id"], "join": True})
    else:
        found = client.post("/export", json={"segmentation_ids": [answer["segmentation_id"]], "join": True})
    labels, annotations = label_map(answer), found.raise_for_status().json()["annotations"]
    objects = sum(ndimage.label(labels == class_id)[1] for class_id in set(np.unique(labels).tolist()) - {IGNORE})
    assert len(annotations) == objects
    assert sum(one["area"] for one in annotations) == (labels != IGNORE).sum()


def test_a_name_that_a_retired_class_had_too_is_written_once_so_that_the_export_is_read_again(
    client: TestClient, answers: list[dict[str, Any]]
) -> None:
    segment = answers[0]["segments"][0]["segment_id"]
    for _ in range(2):
        edit = client.post(f"/segments/{segment}/label", json={"class_name": "moss"}).json()
        client.post(f"/edits/{edit['index_revision']}/revert").raise_for_status()
    edit = client.post(f"/segments/{segment}/label", json={"class_name": "moss"}).json()
    options = {"segmentation_id": edit["relabelled"]["segmentation_id"], "images": "true"}
    archive = client.get("/export", params=options).content
    document = json.loads(zipfile.ZipFile(io.BytesIO(archive)).read("annotations/instances_default.json"))
    names = [one["name"] for one in document["categories"]]
    assert names[3:] == ["moss (3)", "moss (4)", "moss"]
    headers = {"Content-Type": "application/zip"}
    assert client.post("/import", content=archive, headers=headers).status_code == 201


@pytest.mark.parametrize("form", ["coco", "png", "csv"])
def test_an_answer_that_is_deleted_before_it_is_written_is_not_found(
    client: TestClient, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Another request deletes it after the answers were found."""
    name = answers[0]["segmentation_id"]

    def found_and_deleted(*args: Any) -> list[Answered]:
        found = find_answers(*args)
        client.delete(f"/segmentations/{name}").raise_for_status()
        return found

    monkeypatch.setattr(exports, "find_answers", found_and_deleted)
    response = client.get("/export", params={"segmentation_id": name, "format": form})
    assert (response.status_code, response.json().get("received")) == (404, name)
    assert response.json()["detail"] == "There is no such answer."
