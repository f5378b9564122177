"""Empty releases made over HTTP, and the list with a release that was given by its path."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from index_builder.heads import open_features
from index_builder.new_release import write_new
from model_store.release import CARD, FEATURES, HEAD, NETWORK, Release
from model_store.store import open_store
from service.settings import Settings


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty release over the filter bank, which is small."""
    folder = tmp_path_factory.mktemp("origin")
    opened = open_features("filters", open_store(folder / "none"), folder, 96)
    return write_new(folder / "bank", opened, name="bank").path


@pytest.fixture
def stored(settings: Settings, origin: Path) -> Iterator[Path]:
    """The releases folder of the service, with that release in it."""
    folder = settings.data_dir / "releases"
    shutil.copytree(origin, folder / "bank")
    return folder


def make(client: TestClient, **body: object) -> tuple[int, dict]:
    response = client.post("/releases", json=body)
    return response.status_code, response.json()


def test_an_empty_release_is_made_served_and_taught(stored: Path, client: TestClient, photo: bytes) -> None:
    status, made = make(client, name="mine", features="bank")
    assert (status, made["classes"], made["active"], made["stored"]) == (201, 0, False, True)
    assert made["adaptable"]
    assert client.post("/releases/mine/activate").json()["release"] == "mine"
    answer = client.post("/segment", content=photo).json()
    assert {one["class_id"] for one in answer["segments"]} == {None}
    segment = answer["segments"][0]["segment_id"]
    assert client.post(f"/segments/{segment}/label", json={"class_name": "cell"}).status_code == 201
    assert [one["name"] for one in client.get("/classes").json()] == ["cell"]


def test_an_empty_release_has_the_network_and_features_of_its_origin_and_nothing_that_it_learnt(
    stored: Path, client: TestClient, origin: Path
) -> None:
    assert make(client, name="mine", features="bank")[0] == 201
    made, was = Release.open(stored / "mine"), Release.open(origin)
    for file in (NETWORK, FEATURES, HEAD):
        assert (stored / "mine" / file).read_bytes() == (origin / file).read_bytes()
    assert len(made.exemplars) == 0
    assert made.card.classes == []
    assert made.card.data == made.card.metrics == {}
    assert made.card.preprocessing == was.card.preprocessing
    assert not made.card.calibration.calibrated
    assert np.isclose(made.card.calibration.known_threshold, 0.5)


def test_of_requests_for_one_name_at_once_one_succeeds_and_leaves_nothing_else(
    stored: Path, client: TestClient
) -> None:
    with ThreadPoolExecutor(6) as callers:
        found = list(callers.map(lambda _: make(client, name="mine", features="bank"), range(6)))
    assert sorted(status for status, _ in found) == [201, *[422] * 5]
    assert not any(str(stored) in json.dumps(body) for status, body in found if status == 422)
    assert sorted(one.name for one in stored.iterdir()) == ["bank", "mine"]


@pytest.mark.parametrize("name", ["", "a b", "../up", ".hidden", "-dash", "x" * 101, "ä", "a/b", "a\n", "\ud800"])
def test_a_name_that_cannot_be_that_of_a_release_is_refused(stored: Path, client: TestClient, name: str) -> None:
    response = client.post(
        "/releases",
        content=json.dumps({"name": name, "features": "bank"}),
        headers={"content-type": "application/json"},
    )
    assert response.status_code == 422, name
    assert sorted(one.name for one in stored.iterdir()) == ["bank"]


def test_a_name_that_a_release_has_is_refused(stored: Path, client: TestClient) -> None:
    assert make(client, name="mine", features="bank")[0] == 201
    for taken in ("mine", "bank", "general", "tiny"):  # tiny is served, and was given by its path
        status, problem = make(client, name=taken, features="bank")
        assert (status, problem["received"]) == (422, taken)


@pytest.mark.parametrize("features", ["streets", "none", "tiny", "", "facebook/dinov2-small", "../bank"])
def test_only_releases_whose_heads_have_learnt_nothing_start_an_empty_one(
    stored: Path, client: TestClient, features: str
) -> None:
    status, problem = make(client, name="mine", features=features)
    assert (status, problem["allowed"]) == (422, ["general", "bank"])
    assert not (stored / "mine").exists()


def test_a_reader_makes_no_release(stored: Path, start: Callable[..., TestClient]) -> None:
    from service.http.keys import new_key

    key, entry = new_key("anna", "reader")
    with start(api_keys=entry.line) as client:
        response = client.post("/releases", json={"name": "mine"}, headers={"authorization": f"Bearer {key}"})
        assert response.status_code == 403
    assert not (stored / "mine").exists()


def test_the_served_release_is_listed_and_returned_to_if_it_was_given_by_its_path(
    stored: Path, client: TestClient
) -> None:
    def listed() -> dict[str, tuple[bool, bool]]:
        return {one["name"]: (one["active"], one["stored"]) for one in client.get("/releases").json()}

    assert listed()["tiny"] == (True, False)
    client.post("/releases/bank/activate").raise_for_status()
    assert listed()["tiny"] == (False, False)
    assert listed()["bank"] == (True, True)
    assert client.get("/releases/tiny").json()["name"] == "tiny"
    client.post("/releases/tiny/activate").raise_for_status()
    assert listed()["tiny"] == (True, False)


@pytest.mark.parametrize(
    ("data", "parent", "adapted"),
    [
        ({}, None, None),
        ({"edited": {"release": "old"}}, "old", None),
        (
            {"edited": {"release": "older"}, "adapted": {"from": "old", "before": 0.5, "after": 0.75, "images": 3}},
            "old",
            {"before": 0.5, "after": 0.75, "images": 3},
        ),
        (
            {"adapted": {"from": "old", "before": None, "after": 7}},
            "old",
            {"before": None, "after": None, "images": None},
        ),
        ({"adapted": "yes", "edited": [1]}, None, None),
    ],
)
def test_the_list_names_the_parent_of_a_release_and_its_scores(
    stored: Path, client: TestClient, data: dict, parent: str | None, adapted: dict | None
) -> None:
    file = stored / "bank" / CARD
    file.write_text(json.dumps(json.loads(file.read_text()) | {"data": data}))
    (one,) = (one for one in client.get("/releases").json() if one["name"] == "bank")
    assert (one["parent"], one["adapted"]) == (parent, adapted)
