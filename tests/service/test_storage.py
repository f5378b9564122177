"""Over HTTP: retention, pins, the quota, relabelling without new rows, and their metrics."""

import time
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from service.records.room import Limits
from tests.service.records.answers import parts
from tests.service.serving import wait_until


def ids(client: TestClient) -> list[str]:
    return [one["segmentation_id"] for one in client.get("/segmentations").raise_for_status().json()]


def segment(client: TestClient, photo: bytes) -> dict:
    return client.post("/segment?segments=4", content=photo).raise_for_status().json()


def metric(client: TestClient, name: str) -> float:
    line = next(line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])


def test_the_service_prunes_by_itself_and_keeps_pinned_answers(start: Callable[..., TestClient], photo: bytes) -> None:
    with start(retention_answers=2) as client:
        first = segment(client, photo)
        pin = f"/segmentations/{first['segmentation_id']}/pin"
        assert client.put(pin).status_code == 204
        answers = [segment(client, photo)["segmentation_id"] for _ in range(5)]
        expected = [*answers[:-3:-1], first["segmentation_id"]]
        deadline = time.monotonic() + 30
        while ids(client) != expected and time.monotonic() < deadline:
            time.sleep(0.1)
        assert ids(client) == expected
        assert [one["pinned"] for one in client.get("/segmentations").json()] == [False, False, True]
        assert client.get(f"/explain/{answers[0]}-0").status_code == 404
        assert client.get(f"/explain/{first['segments'][0]['segment_id']}").status_code == 200
        assert metric(client, "segsort_pruned_answers_total") == 3
        assert client.delete(pin).status_code == 204
        while len(ids(client)) > 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert ids(client) == answers[:-3:-1]


def test_a_pin_holds_all_answers_that_updates_made(start: Callable[..., TestClient], photo: bytes) -> None:
    def pinned(client: TestClient) -> dict[str, bool]:
        return {one["segmentation_id"]: one["pinned"] for one in client.get("/segmentations").json()}

    with start(retention_answers=1) as client:
        first = segment(client, photo)
        path = f"/segmentations/{first['segmentation_id']}"
        client.put(f"{path}/pin").raise_for_status()
        exemplar = first["segments"][0]["exemplars"][0]["exemplar_id"]
        client.delete(f"/exemplars/{exemplar}").raise_for_status()
        second = client.post(f"{path}/relabel").raise_for_status().json()["segmentation_id"]
        label = {"class_name": "lava"}
        segment_id = f"{second}-0"
        third = client.post(f"/segments/{segment_id}/label", json=label).raise_for_status().json()
        third = third["relabelled"]["segmentation_id"]
        for _ in range(3):
            other = segment(client, photo)["segmentation_id"]  # the same image, and no update of the pinned answer
        lineage = [third, second, first["segmentation_id"]]
        wait_until(lambda: set(ids(client)) == {*lineage, other})
        assert pinned(client) == {other: False} | dict.fromkeys(lineage, True)
        client.delete(f"/segmentations/{second}/pin").raise_for_status()
        wait_until(lambda: ids(client) == [other])
        assert client.put(f"/segmentations/{other}/pin").status_code == 204


def test_a_correction_of_a_pruned_answer_stays_with_its_image(start: Callable[..., TestClient], photo: bytes) -> None:
    with start(retention_answers=1) as client:
        segment_id = segment(client, photo)["segments"][0]["segment_id"]
        made = client.post(f"/segments/{segment_id}/label?relabel=false", json={"class_name": "lava"}).json()[
            "exemplar"
        ]
        last = segment(client, b"P6 8 8 255 " + bytes(192))
        deadline = time.monotonic() + 30
        while len(ids(client)) > 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert ids(client) == [last["segmentation_id"]]
        path = f"/exemplars/{made['exemplar_id']}"
        for what in ("", "/image", "/crop"):
            assert client.get(path + what).status_code == 200
        assert client.get("/exemplars/audit?kind=corrections").status_code == 200
        assert client.get(f"/explain/{last['segments'][0]['segment_id']}").status_code == 200


def test_without_room_answers_are_refused_and_the_rest_goes_on(client: TestClient, photo: bytes) -> None:
    answer = segment(client, photo)
    segmentation_id, segment_id = answer["segmentation_id"], answer["segments"][0]["segment_id"]
    engine = client.app.state.engine  # type: ignore[attr-defined]
    room = engine.records.room
    room._next = float("inf")  # no measurement takes the place of the figures below
    room.limits = Limits(quota=1_000_000_000)
    room.figures = room.figures._replace(used=950_000_000)
    refused = client.post("/segment", content=photo)
    assert refused.status_code == 507
    assert refused.headers["content-type"] == "application/problem+json"
    assert {"received", "allowed", "fix"} <= set(refused.json())
    assert client.post(f"/segmentations/{segmentation_id}/segment").status_code == 507
    assert ids(client) == [segmentation_id]
    assert client.get(f"/explain/{segment_id}").status_code == 200
    assert client.get("/readyz").status_code == 200
    edited = client.post(f"/segments/{segment_id}/label", json={"class_name": "lava"})
    assert edited.status_code == 201
    assert edited.json()["relabelled"] is None
    assert client.post(f"/segmentations/{segmentation_id}/relabel").status_code == 507
    room.figures = room.figures._replace(used=10**9)
    assert client.post(f"/segments/{segment_id}/label", json={"class_name": "ash"}).status_code == 507
    assert metric(client, "segsort_full_total") >= 4
    assert metric(client, "segsort_database_left_bytes") < 0
    assert client.delete(f"/segmentations/{segmentation_id}").status_code == 204


def test_relabelling_records_nothing_until_an_edit_and_then_no_shapes(client: TestClient, photo: bytes) -> None:
    answer = segment(client, photo)
    records = client.app.state.engine.records  # type: ignore[attr-defined]
    url = f"/segmentations/{answer['segmentation_id']}/relabel"
    again = client.post(url).raise_for_status().json()
    assert again["segmentation_id"] == again["relabelled_from"] == answer["segmentation_id"]
    assert again["changed"] == []
    assert again["segments"] == answer["segments"]
    assert (len(ids(client)), parts(records)) == (1, 2)
    edit = client.post(
        f"/segments/{answer['segments'][0]['segment_id']}/label", json={"class_name": "lava"}
    ).raise_for_status()
    assert parts(records) == 3
    assert client.post(url).json()["segmentation_id"] not in (answer["segmentation_id"], edit.json()["relabelled"])
    assert (len(ids(client)), parts(records)) == (3, 4)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_only_answers_that_exist_are_pinned(client: TestClient, method: str) -> None:
    assert client.request(method, f"/segmentations/{'0' * 32}/pin").status_code == 404


def test_metrics_show_what_the_database_holds(client: TestClient, photo: bytes) -> None:
    segment(client, photo)
    room = client.app.state.engine.records.room  # type: ignore[attr-defined]
    room._next = 0
    room.look()
    text = client.get("/metrics").text
    assert 'segsort_answers{pinned="false"} 1.0' in text
    assert metric(client, "segsort_images") == 1
    assert metric(client, "segsort_oldest_answer_timestamp_seconds") == pytest.approx(time.time(), abs=600)
    assert f'segsort_database_bytes{{content="images"}} {float(len(photo))}' in text
