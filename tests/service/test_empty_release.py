"""A release without exemplars and classes over HTTP: it answers, is taught, is emptied again, and is written."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from model_store.explanation import Replay, replay
from service.editing.snapshot import write_snapshot
from service.images.drawing import NO_CLASS_COLOR
from service.settings import Settings
from tests.conftest import Blocks
from tests.service.conftest import encoded
from tests.service.http.test_wire import Conformance


@pytest.fixture
def settings(empty_release: Path, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", release=str(empty_release), threads=1)


@pytest.fixture
def answer(client: TestClient, photo: bytes) -> dict:
    """The answer of the release before it is taught."""
    return client.post("/segment", content=photo).raise_for_status().json()


def teach(client: TestClient, segment: dict, name: str) -> dict:
    response = client.post(f"/segments/{segment['segment_id']}/label", json={"class_name": name})
    return response.raise_for_status().json()


def labels(answer: dict) -> set[str | None]:
    return {segment["class_name"] for segment in answer["segments"]}


def assert_nothing_voted(answer: dict) -> None:
    assert len(answer["segments"]) > 3
    for segment in answer["segments"]:
        assert (segment["class_id"], segment["class_name"], segment["confidence"]) == (None, None, None)
        assert (segment["known"], segment["exemplars"]) == (False, [])


def test_every_segment_of_an_untaught_release_is_without_class_and_unknown(client: TestClient, answer: dict) -> None:
    assert_nothing_voted(answer)
    assert answer["classes"] == []
    assert sum(segment["area"] for segment in answer["segments"]) == 96 * 72
    assert client.get(f"/segmentations/{answer['segmentation_id']}").json() == {
        name: value for name, value in answer.items() if name != "timings_ms"
    }
    assert client.get("/classes").json() == []
    assert client.get("/exemplars").json() == {"total": 0, "exemplars": []}
    assert client.get("/readyz").json()["exemplars"] == 0
    assert "segsort_exemplars 0.0" in client.get("/metrics").text


def test_the_label_map_of_an_untaught_release_is_255_everywhere(client: TestClient, photo: bytes) -> None:
    response = client.post("/segment", content=photo, headers={"accept": "image/png"}).raise_for_status()
    image = Image.open(io.BytesIO(response.content))
    assert (np.asarray(image) == 255).all()
    assert image.convert("RGB").getpixel((3, 3)) == NO_CLASS_COLOR


def test_the_explanation_says_that_nothing_voted_and_is_replayed(client: TestClient, answer: dict) -> None:
    segment = answer["segments"][0]
    why = client.get(f"/explain/{segment['segment_id']}").raise_for_status().json()
    assert replay(why) == Replay(why["class_id"], why["class_name"], {}, True) == Replay(None, None, {}, True)
    for name in ("confidence", "share", "familiarity", "image_similarity", "margin", "runner_up", "flip_set"):
        assert why[name] is None, name
    assert (why["vote"]["k"], why["exemplars"], why["reserve"]) == (0, [], [])
    assert why["calibration"]["calibrated"] is False
    assert {one["class_name"] for one in why["boundary"]["neighbours"]} == {None}
    page = client.get(f"/explain/{segment['segment_id']}", headers={"accept": "text/html"}).raise_for_status().text
    assert "nothing had been taught" in page
    assert "None" not in page
    assert "onfidence" not in page


def test_the_first_correction_creates_the_class_and_wins_its_own_vote(client: TestClient, answer: dict) -> None:
    taught = teach(client, answer["segments"][2], "kerb")
    assert (taught["strength"], taught["index_revision"]) == (1.0, 1)
    assert [info["name"] for info in taught["classes"]] == ["kerb"]
    again = taught["relabelled"]
    assert labels(again) == {"kerb"}, "the only class"
    assert again["segments"][2]["known"]
    assert {segment["known"] for segment in again["segments"]} == {True, False}, "other colours are unknown"
    assert {segment["confidence"] for segment in again["segments"]} == {None}, "the release is not calibrated"
    assert len(again["changed"]) == len(again["segments"])
    assert {(one["before"], one["after"]) for one in again["changed"]} == {(None, "kerb")}
    why = client.get(f"/explain/{again['segments'][2]['segment_id']}").json()
    assert (why["share"], why["exemplars"][0]["similarity"]) == (1.0, pytest.approx(1))
    assert replay(why).class_name == why["class_name"] == "kerb"
    assert why["familiarity"] == why["exemplars"][0]["similarity"], "without calibration the segment alone counts"
    effect = client.get("/edits/1/effect").json()["segments"]
    assert {(one["before"], one["after"]) for one in effect} == {(None, "kerb")}
    pairs = zip(answer["segments"], again["segments"], strict=True)
    assert {one["segment_id"]: one["known"] for one in effect} == {
        old["segment_id"]: new["known"] for old, new in pairs
    }
    listed = client.get("/classes").json()
    assert [(one["name"], one["exemplars"], one["origin"]) for one in listed] == [("kerb", 1, "edit")]


def test_each_later_correction_wins_against_those_before(client: TestClient, answer: dict) -> None:
    shown = answer
    for n, name in enumerate(("kerb", "lava", "moss", "kerb")):
        shown = teach(client, shown["segments"][n], name)["relabelled"]
        why = client.get(f"/explain/{shown['segments'][n]['segment_id']}").json()
        assert why["class_name"] == name
        assert why["share"] >= 0.6
        assert why["vote"]["k"] == n + 1, "all exemplars vote, although the first answer had none"
        found = replay(why)
        assert (found.class_name, found.flip_set_holds) == (name, True)


@pytest.mark.parametrize("how", ["revert", "remove"])
def test_a_taught_release_is_emptied_again(client: TestClient, photo: bytes, answer: dict, how: str) -> None:
    taught = teach(client, answer["segments"][0], "kerb")
    if how == "revert":
        client.post("/edits/1/revert").raise_for_status()
    else:
        client.delete(f"/exemplars/{taught['exemplar']['exemplar_id']}").raise_for_status()
    assert_nothing_voted(client.post("/segment?min_index_revision=2", content=photo).json())
    relabelled = client.post(f"/segmentations/{taught['relabelled']['segmentation_id']}/relabel").json()
    assert_nothing_voted(relabelled)
    assert {(one["before"], one["after"]) for one in relabelled["changed"]} == {("kerb", None)}
    effect = client.get("/edits/2/effect").json()["segments"]
    assert {(one["before"], one["after"], one["known"]) for one in effect} == {("kerb", None, False)}
    assert [one["name"] for one in client.get("/classes").json()] == ([] if how == "revert" else ["kerb"])
    old = client.get(f"/explain/{taught['relabelled']['segments'][0]['segment_id']}").json()
    assert (old["class_name"], old["exemplars"][0]["removed_in"]) == ("kerb", 2)
    assert client.post("/edits/2/revert").raise_for_status().json()["edit"]["reverts"] == 2
    assert labels(client.post("/segment?min_index_revision=3", content=photo).json()) == {"kerb"}
    first = client.get(f"/explain/{answer['segments'][0]['segment_id']}").json()
    assert (first["class_name"], first["vote"]["k"]) == (None, 0), "an old explanation stays as it was"


def test_a_labelled_image_teaches_an_empty_release_too(client: TestClient) -> None:
    sample = Blocks("val")[1]
    mask = np.where(sample.labels == 255, 9, sample.labels).astype(np.uint8)
    files = {"image": ("a.png", encoded(sample.image)), "mask": ("m.png", encoded(mask))}
    added = client.post("/exemplars", files=files, data={"classes": '{"0": "brick", "2": "water"}'}).raise_for_status()
    assert {one["class_name"] for one in added.json()["exemplars"]} == {"brick", "water"}
    answer = client.post("/segment", content=encoded(sample.image)).json()
    assert labels(answer) == {"brick", "water"}


def test_a_class_without_exemplars_labels_nothing(client: TestClient, photo: bytes) -> None:
    client.post("/classes", json={"name": "kerb"}).raise_for_status()
    answer = client.post("/segment", content=photo).json()
    assert_nothing_voted(answer)
    assert [info["name"] for info in answer["classes"]] == ["kerb"]
    assert labels(teach(client, answer["segments"][0], "kerb")["relabelled"]) == {"kerb"}


def test_teaching_survives_a_restart(start: Callable[..., TestClient], photo: bytes) -> None:
    with start() as client:
        before = client.post("/segment", content=photo).json()
        why = client.get(f"/explain/{before['segments'][0]['segment_id']}").json()
    with start() as client:  # empty still
        assert client.get(f"/explain/{before['segments'][0]['segment_id']}").json() == why
        taught = teach(client, before["segments"][0], "kerb")["relabelled"]
        client.post("/edits/1/revert").raise_for_status()
    with start() as client:  # empty again
        assert_nothing_voted(client.post("/segment", content=photo).json())
        client.post("/edits/2/revert").raise_for_status()
    with start() as client:
        assert labels(client.post("/segment", content=photo).json()) == {"kerb"}
        assert labels(client.get(f"/segmentations/{taught['segmentation_id']}").json()) == {"kerb"}
        assert_nothing_voted(client.get(f"/segmentations/{before['segmentation_id']}").json())


def test_empty_and_taught_states_are_written_as_releases(
    start: Callable[..., TestClient], settings: Settings, photo: bytes
) -> None:
    empty = write_snapshot(settings, "still-empty")
    assert (len(empty.exemplars), empty.card.classes) == (0, [])
    with start() as client:
        answer = client.post("/segment", content=photo).json()
        taught = teach(client, answer["segments"][0], "kerb")["relabelled"]
    written = write_snapshot(settings, "taught")
    assert (len(written.exemplars), [info.name for info in written.card.classes]) == (1, ["kerb"])
    with start(release=str(written.path)) as client:
        found = client.post("/segment", content=photo).json()["segments"]
    assert [(one["class_name"], one["known"]) for one in found] == [
        (one["class_name"], one["known"]) for one in taught["segments"]
    ]


def test_a_full_and_an_empty_release_are_activated_in_turn(
    start: Callable[..., TestClient], settings: Settings, tiny_release: Path, empty_release: Path, photo: bytes
) -> None:
    for source in (tiny_release, empty_release):
        shutil.copytree(source, settings.data_dir / "releases" / source.name)
    with start(release=None) as client:
        activated = client.post("/releases/tiny/activate").raise_for_status().json()
        assert activated["exemplars"] > 0
        full = client.post("/segment", content=photo).json()
        activated = client.post("/releases/blank/activate").raise_for_status().json()
        assert (activated["exemplars"], activated["before"]) == (0, "tiny")
        empty = client.post("/segment", content=photo).json()
        assert_nothing_voted(empty)
        teach(client, empty["segments"][0], "kerb")
        client.post("/releases/tiny/activate").raise_for_status()
        assert labels(client.post("/segment", content=photo).json()) == labels(full)
        assert client.get(f"/explain/{empty['segments'][0]['segment_id']}").json()["class_name"] is None
        assert client.post("/edits/1/revert").status_code == 409, "an edit of another release"
        client.post("/releases/blank/activate").raise_for_status()
        assert labels(client.post("/segment", content=photo).json()) == {"kerb"}
        listed = {one["name"]: one for one in client.get("/releases").json()}
        assert (listed["blank"]["active"], listed["blank"]["classes"]) == (True, 0)
        assert client.get("/releases/blank").json()["classes"] == []


@pytest.fixture
def conforming(client: TestClient) -> Conformance:
    return Conformance(client)


def test_every_answer_of_an_empty_release_conforms_to_the_document(conforming: Conformance, photo: bytes) -> None:
    answer = conforming("POST", "/segment", content=photo)
    ids = {"segmentation_id": answer["segmentation_id"], "segment_id": answer["segments"][0]["segment_id"]}
    twin = conforming("POST", "/segment", params={"masks": "polygon"}, content=encoded(Blocks("val")[0].image, "BMP"))
    why = conforming("GET", "/explain/{segment_id}", ids={"segment_id": twin["segments"][0]["segment_id"]})
    assert why["similar"][0]["class_name"] is None
    conforming("GET", "/explain/{segment_id}", ids=ids, headers={"accept": "text/html"})
    for path in ("/segmentations", "/classes", "/exemplars", "/readyz", "/releases", "/edits", "/metrics"):
        conforming("GET", path)
    for path in ("/segmentations/{segmentation_id}", "/segments/{segment_id}/crop"):
        conforming("GET", path, ids=ids)
    conforming("POST", "/segmentations/{segmentation_id}/relabel", ids=ids)
    taught = conforming("POST", "/segments/{segment_id}/label", ids=ids, json={"class_name": "kerb"})
    assert taught["relabelled"]["changed"][0]["before"] is None
    conforming("GET", "/edits/{revision}/effect", ids={"revision": 1})
    conforming("DELETE", "/exemplars/{exemplar_id}", ids={"exemplar_id": taught["exemplar"]["exemplar_id"]})
    conforming("GET", "/edits/{revision}/effect", ids={"revision": 2})
    conforming("POST", "/edits/{revision}/revert", ids={"revision": 2})
    conforming("GET", "/releases/{name}", ids={"name": "blank"})
