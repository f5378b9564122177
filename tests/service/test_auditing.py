"""The audit of exemplars over HTTP, relabelling in bulk, and its preview."""

import hashlib
import threading
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.service.serving import wait_until

KINDS = ("contradicted", "duplicates", "thin", "corrections")


def key_line(name: str, role: str) -> str:
    return f"{name}:{role}:{hashlib.sha256(f'segsort_{name}'.encode()).hexdigest()}"


def listed(client: TestClient, name: str, count: int) -> list[str]:
    """Ids of exemplars of a class."""
    class_id = next(one["class_id"] for one in client.get("/classes").json() if one["name"] == name)
    found = client.get("/exemplars", params={"class_id": class_id, "limit": count}).json()["exemplars"]
    return [one["exemplar_id"] for one in found]


def audit(client: TestClient, kind: str, **query: object) -> dict:
    return client.get("/exemplars/audit", params={"kind": kind, **query}).raise_for_status().json()


def relabel(client: TestClient, names: list[str], to: str) -> dict:
    labels = [{"exemplar_id": name, "class_name": to} for name in names]
    return client.post("/exemplars/labels", json={"labels": labels}).raise_for_status().json()


def test_a_planted_wrong_label_is_found_with_its_reason_and_fixed_by_a_relabel(client: TestClient) -> None:
    assert audit(client, "contradicted")["total"] == 0
    planted = relabel(client, listed(client, "brick", 2), "water")["exemplars"]
    found = audit(client, "contradicted")
    assert {one["exemplar"]["exemplar_id"] for one in found["entries"]} == {one["exemplar_id"] for one in planted}
    entry = found["entries"][0]
    assert entry["suggested_class_name"] == "brick"
    assert entry["reason"].startswith("Labelled water, but ")
    assert "nearest exemplars in other images" in entry["reason"]
    assert {one["exemplar"]["class_name"] for one in entry["neighbours"]} == {"brick"}
    cosines = [one["similarity"] for one in entry["neighbours"]]
    assert cosines == sorted(cosines, reverse=True)
    sources = {one["exemplar"]["source"] for one in entry["neighbours"]}
    assert entry["exemplar"]["source"] not in sources
    relabel(client, [one["exemplar_id"] for one in planted], "brick")
    assert audit(client, "contradicted")["total"] == 0


def test_lists_are_filtered_by_class_and_paged(client: TestClient) -> None:
    relabel(client, listed(client, "brick", 3), "water")
    water = next(one["class_id"] for one in client.get("/classes").json() if one["name"] == "water")
    everything = audit(client, "contradicted", class_id=water)
    assert everything["total"] == 3
    assert audit(client, "contradicted", class_id=0)["total"] == 0
    pages = [audit(client, "contradicted", class_id=water, limit=1, offset=n)["entries"] for n in range(4)]
    assert [one for page in pages for one in page] == everything["entries"]


def test_lists_are_sorted_as_asked(client: TestClient) -> None:
    for name in ("water", "grass"):
        relabel(client, listed(client, "brick", 2), name)
    entries = {sort: audit(client, "contradicted", sort=sort)["entries"] for sort in ("doubt", "class", "newest")}
    found = {sort: [one for one in ones if one["exemplar"]["added_in"]] for sort, ones in entries.items()}
    assert [one["score"] for one in found["doubt"]] == sorted((one["score"] for one in found["doubt"]), reverse=True)
    assert [one["class_name"] for one in found["class"]] == ["grass"] * 2 + ["water"] * 2
    assert [one["exemplar"]["added_in"] for one in found["newest"]] == [2, 2, 1, 1]


def test_duplicates_are_found_at_the_asked_similarity(client: TestClient) -> None:
    loose, strict = audit(client, "duplicates", similarity=0.97), audit(client, "duplicates", similarity=1)
    assert loose["total"] > strict["total"]
    for entry in loose["entries"]:
        assert entry["score"] >= 0.97
        assert entry["conflict"] is False
        assert min(one["similarity"] for one in entry["neighbours"]) == entry["score"]
    first = loose["entries"][0]
    relabel(client, [first["neighbours"][0]["exemplar"]["exemplar_id"]], "lava")
    entry = audit(client, "duplicates", similarity=0.97)["entries"][0]
    assert entry["conflict"] is True
    assert "lava" in entry["reason"]


def test_a_class_with_one_exemplar_is_thin(client: TestClient) -> None:
    relabel(client, listed(client, "brick", 1), "lava")
    entry = next(one for one in audit(client, "thin")["entries"] if one["class_name"] == "lava")
    assert (entry["exemplars"], entry["images"], entry["exemplar"]) == (1, 1, None)
    assert entry["reason"].startswith("It has 1 exemplar from 1 image.")
    client.post("/classes", json={"name": "tar"}).raise_for_status()
    assert audit(client, "thin")["entries"][0]["reason"] == "It has no exemplar, so no segment can get this label."


def test_exemplars_that_caused_a_correction_are_listed_with_it(client: TestClient, photo: bytes) -> None:
    segment = client.post("/segment", content=photo).json()["segments"][0]
    client.post(f"/segments/{segment['segment_id']}/label", json={"class_name": "lava"}).raise_for_status()
    found = audit(client, "corrections")
    assert found["total"] >= 1
    assert {one["class_name"] for one in found["entries"]} == {segment["class_name"]}
    one = found["entries"][0]
    assert (one["score"], one["corrected"][0]["segment_id"]) == (1, segment["segment_id"])
    assert client.get(one["corrected"][0]["crop_url"]).headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"kind": "wrong"},
        {"kind": "thin", "class_id": -1},
        {"kind": "thin", "limit": 0},
        {"kind": "thin", "limit": 9999},
        {"kind": "thin", "offset": -1},
        {"kind": "thin", "sort": "size"},
        {"kind": "duplicates", "similarity": 2},
        {"kind": "duplicates", "similarity": "nan"},
    ],
)
def test_a_malformed_query_is_refused(query: dict[str, object], client: TestClient) -> None:
    response = client.get("/exemplars/audit", params=query)
    assert response.status_code == 422
    assert {"received", "fix"} <= set(response.json())


def test_no_route_fails_without_exemplars(client: TestClient) -> None:
    everything = [one["exemplar_id"] for one in client.get("/exemplars", params={"limit": 1000}).json()["exemplars"]]
    client.post("/exemplars/remove", json={"exemplar_ids": everything}).raise_for_status()
    assert [audit(client, kind)["total"] for kind in KINDS] == [0, 0, 3, 0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"labels": []}, 422),
        ({"labels": [{"exemplar_id": "0" * 16, "class_name": "grass"}]}, 404),
        ({"labels": [{"exemplar_id": "0" * 16}]}, 422),
        ({"labels": [{"exemplar_id": "0" * 16, "class_name": "a", "class_id": 1}]}, 422),
        ({"labels": "all"}, 422),
    ],
)
def test_a_wrong_relabel_is_refused_with_the_fix(body: dict[str, object], status: int, client: TestClient) -> None:
    for path, sent in (("/exemplars/labels", body), ("/exemplars/preview", {"relabel": body["labels"] or "none"})):
        response = client.post(path, json=sent)
        assert (path, response.status_code) == (path, status)
        assert response.json()["fix"]


def test_a_preview_changes_nothing_and_names_what_the_edit_then_changes(client: TestClient, photo: bytes) -> None:
    answer = client.post("/segment", content=photo).json()
    bricks = listed(client, "brick", 1000)
    body = {"relabel": [{"exemplar_id": name, "class_name": "lava"} for name in bricks]}
    found = client.post("/exemplars/preview", json=body).raise_for_status().json()
    assert (found["answers"], found["compared"]) == (1, len(answer["segments"]))
    expected = [one["segment_id"] for one in answer["segments"] if one["class_name"] == "brick"]
    assert expected
    assert [one["segment_id"] for one in found["changed"]] == expected
    assert {(one["before"], one["after"]) for one in found["changed"]} == {("brick", "lava")}
    assert client.get("/edits").json() == []
    assert [one["name"] for one in client.get("/classes").json()] == ["brick", "grass", "water"]
    relabel(client, bricks, "lava")
    again = client.post(f"/segmentations/{answer['segmentation_id']}/relabel").json()
    assert [one["before_segment_id"] for one in again["changed"]] == expected


def test_readers_may_read_the_audit_but_not_edit(start: Callable[..., TestClient]) -> None:
    with start(api_keys=f"{key_line('anna', 'curator')},{key_line('bob', 'reader')}") as client:
        reader = {"Authorization": "Bearer segsort_bob"}
        for kind in KINDS:
            assert client.get("/exemplars/audit", params={"kind": kind}, headers=reader).status_code == 200
            assert client.get("/exemplars/audit", params={"kind": kind}).status_code == 401
        for path in ("/exemplars/labels", "/exemplars/preview"):
            assert client.post(path, json={"labels": []}, headers=reader).status_code == 403


def test_an_audit_that_takes_too_long_is_answered_in_time_and_delays_nobody(
    settings: Settings, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def slow(*given: object) -> object:
        assert go.wait(120)
        return compute(*given)  # type: ignore[arg-type]

    from service.routes import auditing

    compute = auditing.compute
    monkeypatch.setattr(auditing, "compute", slow)
    with TestClient(create_app(settings.model_copy(update={"deadline_s": 0.3}))) as client:
        response = client.get("/exemplars/audit", params={"kind": "contradicted"})
        assert (response.status_code, response.json()["received"]) == (504, "contradicted")
        assert client.post("/segment", content=photo).status_code == 200
        go.set()  # until then, nothing waited for the audit
        wait_until(lambda: client.get("/exemplars/audit", params={"kind": "contradicted"}).status_code == 200)
