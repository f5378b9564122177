"""Marks that are refused: malformed ones, and those that the present state does not allow."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from tests.conftest import Blocks
from tests.service.conftest import encoded
from tests.service.stroking import DOT, LINE, answer_of, apply, names_of, preview
from tests.service.test_ownership import ANNA, BO, KEYS, bearer

OTHER = encoded(Blocks("val", count=9)[2].image)
RING = [[10, 10], [60, 10], [60, 40]]


def stroke(**shape: Any) -> dict[str, Any]:
    return {"strokes": [DOT, {"class_name": "kerb", **shape}]}


@pytest.mark.parametrize(
    ("marks", "named"),
    [
        ({}, "marks nothing"),
        ({"labels": [], "strokes": []}, "marks nothing"),
        ({"strokes": None}, "strokes"),
        ({"strokes": [DOT] * 1001}, "strokes"),
        ({"strokes": [DOT], "scope": "here"}, "scope"),
        ({"strokes": [DOT], "more": 1}, "more"),
        ({"strokes": [DOT], "reason": "x" * 1001}, "reason"),
        (stroke(), "exactly one"),
        (stroke(points=[[5, 5]], width=3, polygon=[RING]), "exactly one"),
        (stroke(points=[[5, 5]]), "no width"),
        (stroke(polygon=[RING], width=3), "a width"),
        (stroke(points=[[-40, -40], [-20, -9]], width=4), "outside"),
        (stroke(polygon=[[[500, 500], [600, 500], [600, 600]]]), "outside"),
        (stroke(polygon=[]), "polygon"),
        (stroke(polygon=[RING[:2]]), "polygon"),
        (stroke(polygon=RING), "polygon"),
        (stroke(polygon=[[[1e9, 1], [2, 2], [3, 1]]]), "polygon"),
        (stroke(polygon=[[[1, 1], [90, 70]] * 49_000]), "too long"),
        (stroke(polygon=[RING * 34_000]), "polygon"),
        (stroke(mask={"size": [72, 95], "counts": [72 * 95]}), "different sizes"),
        (stroke(mask={"size": [96, 72], "counts": [72 * 96]}), "different sizes"),
        (stroke(mask={"size": [72, 96], "counts": [72 * 96]}), "empty"),
        (stroke(mask={"size": [72, 96], "counts": [5, 5]}), "do not cover"),
        (stroke(mask={"size": [72, 96], "counts": [2**61, 2**61]}), "do not cover"),
        (stroke(mask={"size": [72, 96], "counts": "~~~"}), "run lengths"),
        (stroke(mask={"size": [72, 96]}), "mask"),
        (stroke(class_id=0, points=[[5, 5]], width=3), "either a name or an id"),
        (stroke(class_name=None, class_id=99, points=[[5, 5]], width=3), "unknown class"),
        (stroke(class_name="", points=[[5, 5]], width=3), "name of the class"),
        (stroke(color="red", points=[[5, 5]], width=3), "colour"),
        ({"labels": [{"segment_id": "nowhere", "class_name": "kerb"}]}, "does not have"),
        ({"labels": [{"segment_id": "OWN-999", "class_name": "kerb"}]}, "does not have"),
        ({"labels": [{"segment_id": "OTHER-0", "class_name": "kerb"}]}, "does not have"),
        ({"labels": [{"segment_id": "OWN-0"}]}, "either a name or an id"),
        ({"labels": [{"segment_id": "OWN-0", "class_id": 99}]}, "unknown class"),
        ({"labels": [{"class_name": "kerb"}]}, "segment_id"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else value,
)
def test_malformed_marks_are_refused_with_a_reason_and_change_nothing(
    client: TestClient, marks: dict[str, Any], named: str
) -> None:
    answer, other = answer_of(client), answer_of(client, OTHER)
    ids = {"OWN": answer["segmentation_id"], "OTHER": other["segmentation_id"]}
    for label in marks.get("labels") or []:
        name, _, number = label.get("segment_id", "").partition("-")
        if name in ids:
            label["segment_id"] = f"{ids[name]}-{number}"
    for send in (apply, preview):
        problem = send(client, answer, 422, **marks)
        assert named in problem["detail"]
        assert {"received", "allowed", "fix"} <= set(problem)
    assert client.get("/edits").json() == []
    assert [c["name"] for c in client.get("/classes").json()] == ["brick", "grass", "water"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"strokes": [{"class_name": "k", "points": [[NaN, 1]], "width": 3}]}', "application/json", 400),
        (b'{"strokes": [{"class_name": "\\ud800", "points": [[1, 1]], "width": 3}]}', "application/json", 400),
        (b"[1]", "application/json", 422),
        (b"null", "application/json", 422),
        (b"a=b", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_body_that_is_not_an_object_in_json_is_refused(
    client: TestClient, body: bytes, kind: str, status: int
) -> None:
    answer = answer_of(client)
    for path in (f"/segmentations/{answer['segmentation_id']}/{what}" for what in ("marks", "preview")):
        assert client.post(path, content=body, headers={"content-type": kind}).status_code == status
    assert client.post("/segments/labels", content=body, headers={"content-type": kind}).status_code == status


def test_answers_that_are_gone_of_another_release_or_without_image_are_refused(
    client: TestClient, start: Callable[..., TestClient], settings: Settings
) -> None:
    for unknown in ("3f" * 16, "..", "%00"):
        missing = {"segmentation_id": unknown}
        assert client.post(f"/segmentations/{unknown}/marks", json={"strokes": [DOT]}).status_code == 404, missing
    answer = answer_of(client)
    label = [{"segment_id": answer["segments"][0]["segment_id"], "class_name": "kerb"}]
    bundled = next(r["name"] for r in client.get("/releases").json() if r["bundled"])
    client.post(f"/releases/{bundled}/activate").raise_for_status()
    for marks in ({"strokes": [DOT]}, {"labels": label}):
        for send in (apply, preview):
            assert send(client, answer, 409, **marks)["received"]["release"] == answer["release"]
    assert client.post("/segments/labels", json={"labels": label}).status_code == 409
    assert client.get("/edits").json() == []
    with start(keep_images_mb=0, database_url="sqlite://") as other:
        answer = answer_of(other)
        label[0]["segment_id"] = answer["segments"][0]["segment_id"]
        for marks in ({"strokes": [DOT]}, {"labels": label}):
            for send in (apply, preview):
                assert "no longer kept" in send(other, answer, 409, **marks)["detail"]
        refused = other.post("/segments/labels", json={"labels": label})
        assert (refused.status_code, "no longer kept" in refused.json()["detail"]) == (409, True)
        assert other.get("/edits").json() == []


def test_labels_of_several_answers_are_refused_together(client: TestClient) -> None:
    answer = answer_of(client)
    right = {"segment_id": answer["segments"][0]["segment_id"], "class_name": "kerb"}
    for wrong, status in (("nowhere-1", 404), (f"{answer['segmentation_id']}-999", 422)):
        labels = [right, {"segment_id": wrong, "class_name": "kerb"}]
        assert client.post("/segments/labels", json={"labels": labels}).status_code == status
    for labels in ([], [right] * 2001):
        assert client.post("/segments/labels", json={"labels": labels}).status_code == 422
    assert client.get("/edits").json() == []


def test_a_reader_may_preview_its_own_answers_but_not_mark(start: Callable[..., TestClient]) -> None:
    with start(api_keys=KEYS) as client:
        own = client.post("/segment", content=OTHER, headers=bearer(BO)).json()
        foreign = client.post("/segment", content=encoded(Blocks("val")[0].image), headers=bearer(ANNA)).json()
        marks = {"labels": [{"segment_id": own["segments"][0]["segment_id"], "class_name": "kerb"}]}
        path = f"/segmentations/{own['segmentation_id']}"
        assert client.post(f"{path}/marks", json=marks, headers=bearer(BO)).status_code == 403
        assert client.post("/segments/labels", json=marks, headers=bearer(BO)).status_code == 403
        assert client.post(f"{path}/preview", json=marks).status_code == 401
        shown = client.post(f"{path}/preview", json=marks, headers=bearer(BO))
        assert shown.status_code == 200
        assert shown.json()["elsewhere"] == []  # the other image is not the reader's
        curators = client.post(f"{path}/preview", json=marks, headers=bearer(ANNA)).json()
        assert [one["segmentation_id"] for one in curators["elsewhere"]] == [foreign["segmentation_id"]]
        hidden = client.post(
            f"/segmentations/{foreign['segmentation_id']}/preview", json={"strokes": [DOT]}, headers=bearer(BO)
        )
        assert hidden.status_code == 404


def test_marks_at_once_are_edits_one_after_the_other(start: Callable[..., TestClient], database_url: str) -> None:
    with start(database_url=database_url) as client:
        check_marks_at_once(client)


def check_marks_at_once(client: TestClient) -> None:
    answer, found = answer_of(client), []

    def send(n: int) -> None:
        line = LINE | {"class_name": f"class {n % 2}", "points": [[5, 5 + 10 * n], [90, 5 + 10 * n]]}
        found.append(apply(client, answer, strokes=[line]))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(body["index_revision"] for body in found) == [1, 2, 3, 4, 5, 6]
    assert len(client.get("/classes").json()) == 5  # each name once
    alive = {e["exemplar_id"] for e in client.get("/exemplars?limit=1000").json()["exemplars"]}
    replaced = {name for body in found for name in body["edit"].get("replaces", [])}
    assert {e["exemplar_id"] for body in found for e in body["exemplars"]} - replaced <= alive


def test_the_name_of_a_class_whose_edit_was_reverted_makes_a_new_class(client: TestClient) -> None:
    answer = answer_of(client)
    label = {"segment_id": answer["segments"][0]["segment_id"], "class_name": "ghost"}
    first = apply(client, answer, labels=[label])
    client.post("/edits/1/revert", json={}).raise_for_status()
    by_id = {"segment_id": label["segment_id"], "class_id": first["classes"][0]["class_id"]}
    assert "unknown class" in apply(client, answer, 422, labels=[by_id])["detail"]
    second = apply(client, answer, labels=[label])
    assert second["classes"][0]["class_id"] != first["classes"][0]["class_id"]
    assert names_of(second["relabelled"])[0] == "ghost"


def test_marks_of_too_many_parts_are_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their strengths are computed together, in time that grows with the square of their number."""
    monkeypatch.setattr("service.editing.planning.MAX_PIECES", 1)
    answer = answer_of(client)
    for send in (preview, apply):
        problem = send(client, answer, 422, strokes=[DOT, LINE])
        assert "too many exemplars" in problem["detail"]
        assert problem["allowed"] == "at most 1"
    assert client.get("/edits").json() == []


def test_the_later_of_two_labels_of_one_segment_counts(client: TestClient) -> None:
    answer = answer_of(client)
    segment = answer["segments"][0]["segment_id"]
    body = apply(client, answer, labels=[{"segment_id": segment, "class_name": name} for name in ("mud", "kerb")])
    assert [c["name"] for c in body["classes"]] == ["kerb"]
    assert names_of(body["relabelled"])[0] == "kerb"
