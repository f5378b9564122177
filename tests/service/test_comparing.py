"""POST /releases/compare: two releases on the same stored images, against naive loops."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from model_store.release import Release
from segsort.masks import decode_rle
from service.editing.snapshot import write_snapshot
from service.settings import Settings
from tests.conftest import BLOCK_CLASSES, Blocks
from tests.service.conftest import encoded
from tests.service.http.test_wire import Conformance


@pytest.fixture
def other(settings: Settings, empty_release: Path) -> str:
    """An empty release in the store, with the network of the served one."""
    shutil.copytree(empty_release, settings.data_dir / "releases" / "blank")
    return "blank"


def segment(client: TestClient, number: int) -> dict[str, Any]:
    return client.post("/segment", content=encoded(Blocks("val")[number].image)).raise_for_status().json()


def compare(client: TestClient, a: str, b: str, *ids: str) -> dict[str, Any]:
    body = {"a": a, "b": b, "segmentations": list(ids)}
    return client.post("/releases/compare", json=body).raise_for_status().json()


def names_of(side: list[dict[str, Any]], shape: tuple[int, int]) -> np.ndarray:
    """[H, W] names of classes, "" for no label."""
    names = np.full(shape, "?", dtype=object)
    for one in side:
        mask = decode_rle(one["mask"]["counts"], tuple(one["mask"]["size"]))
        assert mask.sum() == one["area"]
        assert (names[mask] == "?").all(), "masks do not overlap"
        names[mask] = one["class_name"] or ""
    assert (names != "?").all(), "masks cover the image"
    return names


def naive_miou(images: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean IoU of (marked names, given names), pixels without a mark are None."""
    classes = {name for marked, _ in images for name in marked.ravel() if name is not None}
    scores = []
    for name in sorted(classes):
        hit = union = 0
        for marked, given in images:
            for y in range(marked.shape[0]):
                for x in range(marked.shape[1]):
                    if marked[y, x] is not None:
                        hit += marked[y, x] == name == given[y, x]
                        union += name in (marked[y, x], given[y, x])
        scores.append(hit / union)
    return sum(scores) / len(scores)


def test_a_release_that_knows_nothing_gives_no_label_and_nothing_is_recorded(
    client: TestClient, other: str, photo: bytes
) -> None:
    answer = client.post("/segment", content=photo).json()
    found = Conformance(client)(
        "POST", "/releases/compare", json={"a": "tiny", "b": other, "segmentations": [answer["segmentation_id"]]}
    )
    (image,) = found["images"]
    assert [one["class_name"] for one in image["b"]] == [None]
    assert (found["marked_pixels"], found["miou_a"], found["miou_b"]) == (0, None, None)
    shape = (image["height"], image["width"])
    a, b = names_of(image["a"], shape), names_of(image["b"], shape)
    assert image["agreement"] == found["agreement"] == pytest.approx(float((a == b).mean()), abs=1e-6)
    answered = np.full(shape, "?", dtype=object)
    for one in answer["segments"]:
        mask = decode_rle(one["mask"]["counts"], tuple(one["mask"]["size"]))
        answered[mask] = one["class_name"] if one["known"] else ""
    assert (a == answered).all(), "as POST /segment answers"
    assert len(client.get("/segmentations").json()) == 1
    assert client.get("/readyz").json()["release"] == "tiny"


def test_the_miou_is_that_of_marked_pixels_over_all_images(client: TestClient, other: str) -> None:
    answers, marked = [], []
    for number in range(2):
        answer = segment(client, number)
        labels = Blocks("val")[number].labels
        known = np.full(labels.shape, None, dtype=object)
        strokes = []
        for x in range(4):
            name = BLOCK_CLASSES[(labels[12, 24 * x + 12] + (x == 0)) % 3].name  # the first one is wrong
            polygon = [[[24 * x + 4, 4], [24 * x + 20, 4], [24 * x + 20, 20], [24 * x + 4, 20]]]
            strokes.append({"class_name": name, "polygon": polygon})
        body = {"segmentation_id": answer["segmentation_id"], "strokes": strokes}
        for one in client.post("/exemplars", json=body).raise_for_status().json()["exemplars"]:
            mask = client.get(f"/exemplars/{one['exemplar_id']}").json()["mask"]
            known[decode_rle(mask["counts"], tuple(mask["size"]))] = one["class_name"]
        answers.append(answer["segmentation_id"])
        marked.append(known)
    found = compare(client, other, "tiny", *answers)
    shape = marked[0].shape
    given = [names_of(image["b"], shape) for image in found["images"]]
    assert found["marked_pixels"] == sum(int((one != None).sum()) for one in marked)  # noqa: E711  # elementwise
    assert found["miou_a"] == 0, "a release without labels misses every pixel"
    assert found["miou_b"] == pytest.approx(naive_miou(list(zip(marked, given, strict=True))), abs=1e-6)
    for image, one, names in zip(found["images"], marked, given, strict=True):
        assert image["miou_b"] == pytest.approx(naive_miou([(one, names)]), abs=1e-6)


def test_a_wrong_label_counts_against_a_class_that_is_marked_in_another_image_alone(
    client: TestClient, settings: Settings
) -> None:
    before = write_snapshot(settings, "before").card.name
    answers = [segment(client, number) for number in range(2)]
    wrong = max((one for one in answers[1]["segments"] if one["known"]), key=lambda one: one["area"])
    right = next(one for one in answers[0]["segments"] if one["known"] and one["class_name"] == wrong["class_name"])
    marks = [(right, right["class_name"]), (wrong, "lava")]
    body = {"labels": [{"segment_id": one["segment_id"], "class_name": name} for one, name in marks]}
    client.post("/segments/labels", json=body).raise_for_status()
    found = compare(client, "tiny", before, *(one["segmentation_id"] for one in answers))
    pairs = []
    for (one, name), image in zip(marks, found["images"], strict=True):
        marked = np.full((image["height"], image["width"]), None, dtype=object)
        marked[decode_rle(one["mask"]["counts"], tuple(one["mask"]["size"]))] = name
        pairs.append((marked, names_of(image["b"], marked.shape)))
    assert found["miou_b"] == pytest.approx(naive_miou(pairs), abs=1e-6)
    assert found["miou_b"] < 0.5, "lava is missed, and the other class is not right everywhere"


def test_a_release_that_was_served_before_is_compared_with_its_edits(
    client: TestClient, settings: Settings, photo: bytes
) -> None:
    answer = client.post("/segment", content=photo).json()
    before = write_snapshot(settings, "before").card.name
    ids = {"segmentations": [answer["segmentation_id"]]}
    assert client.post("/releases/compare", json={"a": "tiny", "b": before} | ids).json()["agreement"] == 1
    segment_id = max(answer["segments"], key=lambda one: one["area"])["segment_id"]
    client.post(f"/segments/{segment_id}/label", json={"class_name": "lava"}).raise_for_status()
    changed = client.post("/releases/compare", json={"a": "tiny", "b": before} | ids).json()
    assert changed["agreement"] < 1
    assert "lava" in {one["class_name"] for one in changed["images"][0]["a"]}
    assert "lava" not in {one["class_name"] for one in changed["images"][0]["b"]}
    assert Release.open(settings.data_dir / "releases" / before).card.name == before


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"a": "none"}, 404), ({"b": "../x"}, 404), ({"b": "tiny"}, 422), ({"segmentations": []}, 422),
        ({"segmentations": ["none"]}, 404), ({"segmentations": ["x"] * 9}, 422), ({"unknown": 1}, 422),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(
    client: TestClient, other: str, photo: bytes, changes: dict[str, Any], status: int
) -> None:
    answer = client.post("/segment", content=photo).json()
    body = {"a": "tiny", "b": other, "segmentations": [answer["segmentation_id"]]} | changes
    assert client.post("/releases/compare", json=body).status_code == status


def test_an_image_that_is_not_stored_is_refused(start: Callable[..., TestClient], other: str, photo: bytes) -> None:
    with start(keep_images_mb=0) as client:
        answer = client.post("/segment", content=photo).json()
        body = {"a": "tiny", "b": other, "segmentations": [answer["segmentation_id"]]}
        assert client.post("/releases/compare", json=body).status_code == 404
