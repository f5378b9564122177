"""Images to label next: strange ones first, no two alike, none that is marked."""

from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.conftest import Blocks
from tests.service.exploring.conftest import painted

Send = Callable[[np.ndarray], dict]


def suggested(client: TestClient, query: str = "") -> list[str]:
    body = client.get(f"/suggestions{query}").raise_for_status().json()
    return [one["segmentation_id"] for one in body["suggestions"]]


def test_a_planted_strange_image_is_suggested_first(client: TestClient, send: Send) -> None:
    for i in range(4):
        send(Blocks("val", count=9)[i].image)
    strange = send(painted("yellow", "magenta", seed=1, side=40))
    for i in range(4, 8):
        send(Blocks("val", count=9)[i].image)
    body = client.get("/suggestions").raise_for_status().json()
    first = body["suggestions"][0]
    assert first["segmentation_id"] == strange["segmentation_id"]
    assert body["images"] == 9
    unknown = sum(one["area"] for one in strange["segments"] if not one["known"]) / (72 * 96)
    assert first["unknown"] == pytest.approx(unknown, abs=1e-6)
    assert unknown > 0.2
    assert first["reasons"][0] == f"{100 * unknown:.0f} % of its area is unknown."
    assert first["uncertainty"] >= first["unknown"] - 1e-6


def test_of_two_nearly_equal_images_only_one_is_suggested_early(client: TestClient, send: Send) -> None:
    kinds = {}
    for seed, kind in ((0, "yellow"), (3, "yellow"), (6, "yellow"), (1, "magenta"), (2, "cyan")):
        kinds[send(painted(kind, seed=seed, side=44))["segmentation_id"]] = kind
    assert {kinds[name] for name in suggested(client, "?limit=3")} == {"yellow", "magenta", "cyan"}


def test_scores_fall_and_novelty_is_the_distance_to_what_is_covered(client: TestClient, send: Send) -> None:
    for seed in range(5):
        send(painted("yellow", "cyan", seed=seed))
    found = client.get("/suggestions").json()["suggestions"]
    scores = [one["score"] for one in found]
    assert scores == sorted(scores, reverse=True)
    assert found[0]["novelty"] > found[1]["novelty"], "the first covers the things of the second"
    assert f"before it: {1 - found[1]['novelty']:.2f}." in found[1]["reasons"][-1]


def test_a_marked_image_is_not_suggested_again(client: TestClient, send: Send) -> None:
    first, second = send(painted("yellow", seed=0)), send(painted("cyan", seed=1))
    one = min(first["segments"], key=lambda segment: segment["known"])
    client.post(f"/segments/{one['segment_id']}/label", json={"class_name": "lemon"}).raise_for_status()
    body = client.get("/suggestions").json()
    assert [one["segmentation_id"] for one in body["suggestions"]] == [second["segmentation_id"]]
    assert (body["images"], body["marked"]) == (2, 1)
    client.post("/edits/1/revert", json={}).raise_for_status()
    assert client.get("/suggestions").json()["marked"] == 0


def test_the_image_on_the_screen_can_be_left_out_under_any_of_its_answers(client: TestClient, send: Send) -> None:
    first, second = send(painted("yellow", seed=0)), send(painted("cyan", seed=1))
    client.post(f"/segmentations/{first['segmentation_id']}/relabel").raise_for_status()
    assert suggested(client, f"?skip={first['segmentation_id']}") == [second["segmentation_id"]]
    assert len(suggested(client, "?skip=nothing")) == 2


def test_while_nothing_is_taught_each_kind_of_image_is_suggested(
    start: Callable[..., TestClient], empty_release: object
) -> None:
    from tests.service.conftest import encoded

    with start(release=str(empty_release)) as client:
        kinds = {}
        for seed, kind in ((0, "yellow"), (3, "yellow"), (1, "magenta")):
            answer = client.post("/segment", content=encoded(painted(kind, seed=seed, side=44))).json()
            kinds[answer["segmentation_id"]] = kind
        found = client.get("/suggestions").raise_for_status().json()["suggestions"]
        assert {kinds[one["segmentation_id"]] for one in found[:2]} == {"yellow", "magenta"}
        assert found[0]["reasons"] == ["100 % of its area is unknown.", "Nothing like it is labelled yet."]
        clusters = client.get("/clusters").raise_for_status().json()["clusters"]
        assert all(cluster["nearest"] is None for cluster in clusters)


def test_without_images_nothing_is_suggested_and_the_answer_is_the_same_again(client: TestClient, send: Send) -> None:
    assert client.get("/suggestions").json()["suggestions"] == []
    for seed in range(3):
        send(painted("yellow", seed=seed))
    assert client.get("/suggestions").json() == client.get("/suggestions").json()
    for query in ("limit=0", "limit=51", "images=0", "images=201"):
        assert client.get(f"/suggestions?{query}").status_code == 422
