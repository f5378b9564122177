"""Edits over HTTP: corrections, removals, classes and reverts."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.conftest import BLOCK_CLASSES, Blocks
from tests.service.conftest import encoded


@pytest.fixture
def answer(client: TestClient, photo: bytes) -> dict:
    """An answer with at least three known segments."""
    return client.post("/segment", content=photo).raise_for_status().json()


def labels(answer: dict) -> list[str]:
    return [segment["class_name"] for segment in answer["segments"]]


def explained(client: TestClient, answer: dict) -> list[dict]:
    return [client.get(f"/explain/{s['segment_id']}").raise_for_status().json() for s in answer["segments"]]


def without_marks(why: dict) -> dict:
    """An explanation without the values that later edits change."""

    def plain(entries: list[dict]) -> list[dict]:
        return [{name: value for name, value in entry.items() if name != "removed_in"} for entry in entries]

    fields = {name: value for name, value in why.items() if name not in ("corrections", "similar")}
    runner_up = fields["runner_up"] and fields["runner_up"] | {"exemplars": plain(fields["runner_up"]["exemplars"])}
    return fields | {
        "exemplars": plain(fields["exemplars"]), "reserve": plain(fields["reserve"]), "runner_up": runner_up,
    }  # fmt: skip


def test_a_correction_changes_the_label_of_its_own_segment_immediately(client: TestClient, answer: dict) -> None:
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


def test_a_removed_exemplar_does_not_vote_and_a_revert_restores_it(
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


def test_edits_and_answers_survive_a_restart(start: Callable[..., TestClient], photo: bytes) -> None:
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
    assert classes[3] == {
        "class_id": 3,
        "name": "kerb",
        "color": "#123456",
        "exemplars": 1,
        "for_one_image": 0,
        "origin": "edit",
    }


def other_class(segment: dict) -> str:
    return next(info.name for info in BLOCK_CLASSES if info.name != segment["class_name"])


def correct(client: TestClient, segment: dict, name: str, **more: object) -> dict:
    body = {"class_name": name, **more}
    return client.post(f"/segments/{segment['segment_id']}/label", json=body).raise_for_status().json()


def test_the_same_correction_again_changes_nothing(client: TestClient, answer: dict) -> None:
    segment = answer["segments"][0]
    name = other_class(segment)
    first = correct(client, segment, name)
    response = client.post(f"/segments/{segment['segment_id']}/label", json={"class_name": name.upper()})
    again = response.json()
    assert response.status_code == 200
    assert (again["edit"], again["index_revision"]) == (None, 1)
    assert again["exemplar"]["exemplar_id"] == first["exemplar"]["exemplar_id"]
    relabelled = first["relabelled"]["segments"][0]
    assert correct(client, relabelled, name)["edit"] is None  # the same segment under the id of its later answer


def test_a_second_correction_replaces_the_first(client: TestClient, answer: dict) -> None:
    segment = answer["segments"][0]
    first = correct(client, segment, "lava")
    second = correct(client, first["relabelled"]["segments"][0], "magma")
    assert second["edit"]["replaces"] == [first["exemplar"]["exemplar_id"]]
    assert second["strength"] == first["strength"]
    assert second["relabelled"]["segments"][0]["class_name"] == "magma"
    assert client.get(f"/exemplars/{first['exemplar']['exemplar_id']}").json()["removed_in"] == 2
    why = client.get(f"/explain/{segment['segment_id']}").json()
    assert [(c["revision"], c["class_name"], c["author"]) for c in why["corrections"]] == [(1, "lava", "local")]
    client.post("/edits/2/revert").raise_for_status()
    again = client.post(f"/segmentations/{answer['segmentation_id']}/relabel").json()
    assert again["segments"][0]["class_name"] == "lava"


def test_a_correction_can_be_made_without_relabelling_the_image(client: TestClient, answer: dict) -> None:
    segment = answer["segments"][0]
    body = client.post(f"/segments/{segment['segment_id']}/label?relabel=false", json={"class_id": 0}).json()
    assert body["relabelled"] is None
    assert len(client.get("/segmentations").json()) == 1


def test_invalid_class_names_and_ids_are_refused(client: TestClient, answer: dict) -> None:
    url = f"/segments/{answer['segments'][0]['segment_id']}/label"
    for body, status in (
        ({}, 422),
        ({"class_id": 0, "class_name": "grass"}, 422),
        ({"class_name": "  "}, 422),
        ({"class_name": "a\u0000"}, 422),
        ({"class_name": "x", "color": "blue"}, 422),
        ({"class_id": 3}, 404),
        ({"class_id": -1}, 422),
        ({"class_id": 10**30}, 422),
        ({"name": "grass"}, 422),
        ({"class_name": "grass", "reason": "x" * 1001}, 422),
        ({"class_name": "grass", "reason": "a\u0000"}, 422),
    ):
        response = client.post(url, json=body)
        assert response.status_code == status, (body, response.json())
        assert response.headers["content-type"] == "application/problem+json"
    surrogate = client.post(url, content=b'{"class_name": "\\ud800"}', headers={"content-type": "application/json"})
    assert surrogate.status_code == 422
    assert client.post("/segments/none-0/label", json={"class_id": 0}).status_code == 404
    assert client.post(url, content=b"[" * 100_000, headers={"content-type": "application/json"}).status_code in (
        400,
        413,
        422,
    )
    assert client.get("/edits").json() == []


def test_numbers_past_what_a_database_holds_are_refused(client: TestClient) -> None:
    for path in (
        f"/edits/{10**30}", "/edits/0", f"/edits?before={10**30}", "/edits?limit=0", f"/exemplars?offset={10**30}",
        f"/exemplars?class_id={10**30}", "/segmentations?limit=-1",
    ):  # fmt: skip
        assert client.get(path).status_code == 422, path
    assert client.get("/edits/1").status_code == 404
    assert client.get("/edits/1/effect").status_code == 404
    assert client.post("/edits/1/revert").status_code == 404
    assert client.get("/segmentations?before=none").status_code == 404
    assert client.get("/segmentations/%00").status_code == 404


def test_an_edit_is_reverted_once_and_a_revert_can_be_reverted_too(client: TestClient, answer: dict) -> None:
    gone = answer["segments"][0]["exemplars"][0]["exemplar_id"]
    client.delete(f"/exemplars/{gone}").raise_for_status()
    assert client.post("/edits/1/revert", json={"reason": "was fine"}).json()["edit"]["reason"] == "was fine"
    twice = client.post("/edits/1/revert")
    assert twice.status_code == 409
    assert "edit 2" in twice.json()["detail"]
    redo = client.post("/edits/2/revert").json()
    assert redo["edit"]["summary"].startswith("restored edit 1: removed an exemplar of")
    assert client.get(f"/exemplars/{gone}").json()["removed_in"] == 3
    assert [(e["revision"], e["reverted_by"]) for e in client.get("/edits").json()] == [(3, None), (2, 3), (1, None)]


def test_an_edit_cannot_be_reverted_before_later_edits_that_depend_on_it(client: TestClient, answer: dict) -> None:
    first, second = answer["segments"][:2]
    correct(client, first, "lava")
    correct(client, second, "lava")
    refused = client.post("/edits/1/revert")
    assert refused.status_code == 409
    assert "lava" in refused.json()["detail"]
    client.post("/edits/2/revert").raise_for_status()
    client.post("/edits/1/revert").raise_for_status()
    assert "lava" not in [c["name"] for c in client.get("/classes").json()]
    assert client.post("/edits/3/revert").status_code == 409  # its exemplar would have a class that no longer exists
    correct(client, first, "lava")  # a new class with this name and a new id
    assert client.get("/classes").json()[-1]["class_id"] == 4
    assert client.post("/edits/4/revert").status_code == 409  # two classes would have the same name
    assert client.get("/edits?limit=1").json()[0]["revision"] == 5


def test_a_second_removal_is_reported_and_every_exemplar_can_be_removed(client: TestClient) -> None:
    everything = [e["exemplar_id"] for e in client.get("/exemplars?limit=1000").json()["exemplars"]]
    client.post("/exemplars/remove", json={"exemplar_ids": everything[1:]}).raise_for_status()
    again = client.delete(f"/exemplars/{everything[1]}")
    assert again.status_code == 409
    assert again.json()["received"] == {everything[1]: "since revision 1"}
    assert client.delete("/exemplars/none").status_code == 404
    assert client.post("/exemplars/remove", json={"exemplar_ids": []}).status_code == 422
    assert client.get("/readyz").json()["exemplars"] == 1


def test_with_one_exemplar_every_segment_gets_its_class(client: TestClient, photo: bytes) -> None:
    listed = client.get("/exemplars?limit=1000").json()["exemplars"]
    names = [e["exemplar_id"] for e in listed[1:]]
    client.post("/exemplars/remove", json={"exemplar_ids": names}).raise_for_status()
    answer = client.post("/segment", content=photo).json()
    assert set(labels(answer)) == {listed[0]["class_name"]}
    why = client.get(f"/explain/{answer['segments'][0]['segment_id']}").json()
    assert (why["vote"]["k"], why["runner_up"], why["flip_set"]) == (1, None, None)


def test_a_class_is_created_renamed_and_recoloured(client: TestClient, answer: dict) -> None:
    made = client.post("/classes", json={"name": " kerb "})
    assert made.status_code == 201
    assert made.json()["class"]["name"] == "kerb"
    assert made.json()["edit"]["classes"] == [made.json()["class"]]
    assert client.post("/classes", json={"name": "KERB"}).status_code == 409
    brick = next(s for s in answer["segments"] if s["class_name"] == "brick")
    changed = client.post("/classes", json={"class_id": 0, "name": "wall", "color": "#010203"})
    assert changed.status_code == 200
    assert changed.json()["edit"]["summary"] == "renamed class brick to wall and recoloured class wall"
    assert client.post("/classes", json={"class_id": 0, "name": "wall"}).json()["edit"] is None
    assert client.post("/classes", json={"class_id": 0, "name": "grass"}).status_code == 409
    assert client.post("/classes", json={"class_id": 9, "name": "x"}).status_code == 404
    assert client.post("/classes", json={"class_id": 0}).status_code == 422
    assert client.post("/classes", json={}).status_code == 422
    assert [c["name"] for c in client.get("/classes").json()] == ["wall", "grass", "water", "kerb"]
    assert client.get(f"/explain/{brick['segment_id']}").json()["class_name"] == "brick"
    again = client.get(f"/segmentations/{answer['segmentation_id']}").json()
    assert again == {name: value for name, value in answer.items() if name != "timings_ms"}
    relabelled = client.post(f"/segmentations/{answer['segmentation_id']}/relabel").json()
    assert relabelled["changed"] == []
    assert "wall" in labels(relabelled)
    client.post("/edits/2/revert").raise_for_status()
    assert client.get("/classes").json()[0]["name"] == "brick"


def test_a_request_for_a_missing_revision_waits_and_is_then_refused(client: TestClient, photo: bytes) -> None:
    response = client.post("/segment?min_index_revision=7", content=photo)
    assert response.status_code == 409
    assert (response.json()["received"], response.json()["allowed"]) == (7, "at most 0")
    assert client.post("/segment?min_index_revision=-1", content=photo).status_code == 422


def test_the_effect_of_an_edit_names_the_segments_that_it_changes(client: TestClient, answer: dict) -> None:
    segment = answer["segments"][0]
    correct(client, segment, "lava", color="#ff0000")
    effect = client.get("/edits/1/effect").json()
    assert effect["answers"] == 2  # the answer and its relabelled copy
    own = next(one for one in effect["segments"] if one["segment_id"] == segment["segment_id"])
    assert (own["before"], own["after"]) == (segment["class_name"], "lava")
    assert client.get(own["crop_url"]).headers["content-type"] == "image/png"
    recorded = dict(zip((s["segment_id"] for s in answer["segments"]), labels(answer), strict=True))
    for one in effect["segments"]:
        assert one["before"] == recorded.get(one["segment_id"], one["before"])
        assert one["image_id"] == answer["image_id"], "all answers are of one image"
    client.post("/edits/1/revert").raise_for_status()
    after = client.get("/edits/1/effect").json()["segments"]
    assert segment["segment_id"] not in [one["segment_id"] for one in after]
    assert {one["before"] for one in client.get("/edits/2/effect").json()["segments"]} == {"lava"}


def test_answers_are_listed_newest_first_and_read_unchanged(client: TestClient, photo: bytes, answer: dict) -> None:
    second = client.post("/segment?masks=none", content=photo).json()
    listed = client.get("/segmentations").json()
    assert [one["segmentation_id"] for one in listed] == [second["segmentation_id"], answer["segmentation_id"]]
    assert listed[0]["segments"] == len(second["segments"])
    assert [one["image_id"] for one in listed] == [second["image_id"], answer["image_id"]]
    assert client.get(listed[0]["image_url"]).content == photo
    assert client.get(listed[0]["image_url"]).headers["content-type"] == "image/png"
    page = client.get(f"/segmentations?limit=5&before={second['segmentation_id']}").json()
    assert [one["segmentation_id"] for one in page] == [answer["segmentation_id"]]
    again = client.get(f"/segmentations/{answer['segmentation_id']}").json()
    assert again == {name: value for name, value in answer.items() if name != "timings_ms"}


def test_later_edits_do_not_change_old_explanations(start: Callable[..., TestClient], photo: bytes) -> None:
    with start() as client:
        answer = client.post("/segment?k=30", content=photo).json()
        before = explained(client, answer)
        images = [client.get(e["crop_url"]).content for e in before[0]["exemplars"]]
        nearest = [why["exemplars"][0]["exemplar_id"] for why in before]
        seconds = [e["exemplar_id"] for e in before[0]["runner_up"]["exemplars"]]
        correct(client, answer["segments"][0], "lava")
        client.post("/exemplars/remove", json={"exemplar_ids": [*nearest, *seconds]}).raise_for_status()
        client.post("/classes", json={"class_id": 0, "name": "wall"}).raise_for_status()
        after = explained(client, answer)
        assert [without_marks(why) for why in after] == [without_marks(why) for why in before]
        assert [why["exemplars"][0]["removed_in"] for why in after] == [2] * len(after)
        assert [client.get(e["crop_url"]).content for e in after[0]["exemplars"]] == images
        page = client.get(f"/explain/{answer['segments'][0]['segment_id']}", headers={"accept": "text/html"}).text
        assert "removed in edit 2" in page
        assert "Corrected to <b>lava</b>" in page
    with start() as client:
        assert explained(client, answer) == after


def test_similar_segments_come_from_other_images_recorded_earlier(client: TestClient, photo: bytes) -> None:
    images = [encoded(Blocks("val", count=9)[i].image) for i in (1, 2, 3)]
    answers = [client.post("/segment", content=image).json() for image in [*images, photo, photo]]
    client.post("/segment", content=images[0][:-1] + b"x")  # recorded later, so it is not searched
    why = client.get(f"/explain/{answers[4]['segments'][0]['segment_id']}").json()
    assert len(why["similar"]) == 8
    earlier = {s["segment_id"]: s for a in answers[:3] for s in a["segments"]}
    for one in why["similar"]:
        assert one["class_name"] == earlier[one["segment_id"]]["class_name"]
        assert one["confidence"] == earlier[one["segment_id"]]["confidence"]
        assert client.get(one["image_url"]).content in images
    similarities = [one["similarity"] for one in why["similar"]]
    assert similarities == sorted(similarities, reverse=True)
    assert client.get(f"/explain/{answers[0]['segments'][0]['segment_id']}").json()["similar"] == []


def test_the_runner_up_shows_the_nearest_exemplars_of_its_class(client: TestClient, photo: bytes) -> None:
    answer, seen = client.post("/segment?k=30", content=photo).json(), 0
    for why in explained(client, answer):
        if why["runner_up"] is None:
            continue
        seen += 1
        fields, name = why["runner_up"]["exemplars"], why["runner_up"]["class_name"]
        assert {e["class_name"] for e in fields} == {name}
        similarities = [e["similarity"] for e in fields]
        assert similarities == sorted(similarities, reverse=True)
        voted = [e for e in why["exemplars"] if e["class_name"] == name]
        assert [e["exemplar_id"] for e in fields][: len(voted)] == [e["exemplar_id"] for e in voted][:5]
        assert similarities[: len(voted)] == [e["similarity"] for e in voted][:5]
    assert seen
