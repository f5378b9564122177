"""Edits over HTTP: corrections, removals, classes, taking back."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.conftest import BLOCK_CLASSES


@pytest.fixture
def answer(client: TestClient, photo: bytes) -> dict:
    """An answer of three known segments and more."""
    return client.post("/segment", content=photo).raise_for_status().json()


def labels(answer: dict) -> list[str]:
    return [segment["class_name"] for segment in answer["segments"]]


def explained(client: TestClient, answer: dict) -> list[dict]:
    return [client.get(f"/explain/{s['segment_id']}").raise_for_status().json() for s in answer["segments"]]


def without_marks(why: dict) -> dict:
    """An explanation without what became of its exemplars since."""

    def plain(entries: list[dict]) -> list[dict]:
        return [{name: value for name, value in entry.items() if name != "removed_in"} for entry in entries]

    told = {name: value for name, value in why.items() if name not in ("corrections", "similar")}
    runner_up = told["runner_up"] and told["runner_up"] | {"exemplars": plain(told["runner_up"]["exemplars"])}
    return told | {
        "exemplars": plain(told["exemplars"]), "reserve": plain(told["reserve"]), "runner_up": runner_up,
    }  # fmt: skip


def test_a_correction_wins_its_own_segment_at_once(client: TestClient, answer: dict) -> None:
    segment = answer["segments"][0]
    other = next(info.name for info in BLOCK_CLASSES if info.name != segment["class_name"])
    response = client.post(f"/segments/{segment['segment_id']}/label", json={"class_name": other, "reason": "seen"})
    body = response.json()
    assert response.status_code == 201, body
    assert body["index_revision"] == body["edit"]["revision"] == 1
    assert body["edit"]["kind"] == "label"
    assert (body["edit"]["author"], body["edit"]["reason"]) == ("local", "seen")
    assert body["edit"]["segment_id"] == segment["segment_id"]
    assert body["edit"]["exemplar_ids"] == [body["exemplar"]["exemplar_id"]]
    relabelled = body["relabelled"]
    assert relabelled["index_revision"] == 1
    assert relabelled["relabelled_from"] == answer["segmentation_id"]
    assert relabelled["segments"][0]["class_name"] == other
    assert {"segment_id": relabelled["segments"][0]["segment_id"], "before_segment_id": segment["segment_id"],
            "before": segment["class_name"], "after": other} in relabelled["changed"]  # fmt: skip
    why = client.get(f"/explain/{relabelled['segments'][0]['segment_id']}").json()
    assert why["share"] >= 0.6
    assert why["exemplars"][0]["exemplar_id"] == body["exemplar"]["exemplar_id"]
    assert why["exemplars"][0]["strength"] == body["strength"] >= 1


def test_a_removed_exemplar_votes_no_more_and_a_revert_brings_it_back(
    client: TestClient, photo: bytes, answer: dict
) -> None:
    gone = answer["segments"][0]["exemplars"][0]["exemplar_id"]
    assert client.delete(f"/exemplars/{gone}?reason=blurred").raise_for_status().json()["index_revision"] == 1
    after = client.post("/segment?min_index_revision=1&exemplars=50", content=photo).json()
    assert gone not in [e["exemplar_id"] for s in after["segments"] for e in s["exemplars"]]
    assert client.get(f"/exemplars/{gone}").json()["removed_in"] == 1
    reverted = client.post("/edits/1/revert").json()
    assert reverted["edit"]["reverts"] == 1
    assert client.get("/edits/1").json()["reverted_by"] == 2
    again = client.post("/segment?min_index_revision=2", content=photo).json()
    assert [s["exemplars"] for s in again["segments"]] == [s["exemplars"] for s in answer["segments"]]


def test_the_log_lists_edits_newest_first(client: TestClient, answer: dict) -> None:
    names = [e["exemplar_id"] for e in answer["segments"][0]["exemplars"][:3]]
    for name in names:
        client.delete(f"/exemplars/{name}").raise_for_status()
    assert [e["revision"] for e in client.get("/edits").json()] == [3, 2, 1]
    assert [e["revision"] for e in client.get("/edits?limit=1&before=3").json()] == [2]
    assert client.get("/edits/2").json()["exemplar_ids"] == [names[1]]


def test_edits_and_answers_outlive_a_restart(start: Callable[..., TestClient], photo: bytes) -> None:
    with start() as client:
        answer = client.post("/segment", content=photo).json()
        body = {"class_name": "kerb", "color": "#123456"}
        client.post(f"/segments/{answer['segments'][0]['segment_id']}/label", json=body).raise_for_status()
        before = client.post("/segment", content=photo).json()
        classes, edits = client.get("/classes").json(), client.get("/edits").json()
    with start() as client:
        after = client.post("/segment", content=photo).json()
        assert client.get("/classes").json() == classes
        assert client.get("/edits").json() == edits
    assert labels(after) == labels(before)
    assert labels(after)[0] == "kerb"
    assert after["index_revision"] == 1
    assert classes[3] == {"class_id": 3, "name": "kerb", "color": "#123456", "exemplars": 1, "origin": "edit"}
