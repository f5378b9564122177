"""Clusters of unknown segments: planted things are found, separated, named at once and gone."""

import hashlib
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient

from segsort.masks import decode_rle
from tests.conftest import Blocks
from tests.service.conftest import encoded
from tests.service.exploring.conftest import FOREIGN, kind_of, painted

Send = Callable[[np.ndarray], dict]


def plant(send: Send, count: int = 6) -> dict[str, str]:
    """Send images with a yellow and a magenta square each; returns the kind or ground of each segment."""
    kinds = {}
    for seed in range(count):
        image = painted("yellow", "magenta", seed=seed)
        for segment in send(image)["segments"]:
            mask = decode_rle(segment["mask"]["counts"], image.shape[:2])
            kinds[segment["segment_id"]] = kind_of(image[mask].mean(axis=0))
    return kinds


def members(cluster: dict) -> list[str]:
    return [segment["segment_id"] for segment in cluster["segments"]]


def test_two_planted_kinds_of_things_are_separated_with_purity_one(client: TestClient, send: Send) -> None:
    kinds = plant(send)
    body = client.get("/clusters").raise_for_status().json()
    found = [Counter(kinds[name] for name in members(cluster)) for cluster in body["clusters"]]
    assert all(len(counts) == 1 for counts in found), found
    planted = {name for name, kind in kinds.items() if kind in FOREIGN}
    assert planted <= {name for cluster in body["clusters"] for name in members(cluster)}
    assert planted
    for kind in ("yellow", "magenta"):
        sizes = [counts[kind] for counts in found if kind in counts]
        assert max(sizes) >= 6, "one cluster unites the things of all images"


def test_the_numbers_of_a_cluster_are_those_of_its_segments(client: TestClient, send: Send) -> None:
    plant(send)
    body = client.get("/clusters?members=200").raise_for_status().json()
    assert body["images"] == 6
    assert body["segments"] == sum(cluster["size"] for cluster in body["clusters"])
    assert body["left_out"] == 0
    areas = [cluster["area"] for cluster in body["clusters"]]
    assert areas == sorted(areas, reverse=True)
    for cluster in body["clusters"]:
        listed = cluster["segments"]
        assert cluster["size"] == len(listed)
        assert cluster["images"] == len({segment["segmentation_id"] for segment in listed})
        assert cluster["area"] == pytest.approx(sum(segment["area"] for segment in listed) / (72 * 96))
        weights = [segment["share"] for segment in listed]
        mean = np.average([segment["similarity"] for segment in listed], weights=weights)
        assert cluster["spread"] == pytest.approx(mean, abs=1e-5)
        assert weights == sorted(weights, reverse=True)
        assert not any(segment["known"] for segment in listed)
        assert client.get(listed[0]["crop_url"]).headers["content-type"] == "image/png"


def test_a_named_cluster_is_gone_and_undo_brings_it_back(client: TestClient, send: Send) -> None:
    kinds = plant(send)
    before = client.get("/clusters").json()
    largest = next(one for one in before["clusters"] if kinds[members(one)[0]] in FOREIGN)
    kind = kinds[members(largest)[0]]
    labels = [{"segment_id": name, "class_name": kind} for name in members(largest)]
    edited = client.post("/segments/labels", json={"labels": labels}).raise_for_status().json()
    after = client.get("/clusters").json()
    assert after["index_revision"] == edited["index_revision"]
    left = {kinds[name] for cluster in after["clusters"] for name in members(cluster)}
    assert kind not in left
    assert left & set(FOREIGN) == {"yellow", "magenta"} - {kind}
    client.post(f"/edits/{edited['edit']['revision']}/revert", json={}).raise_for_status()
    again = client.get("/clusters").json()
    assert again["clusters"] == before["clusters"]


def test_only_the_newest_answer_of_each_image_counts(client: TestClient, send: Send) -> None:
    answer = send(painted("yellow", seed=1))
    again = client.post(f"/segmentations/{answer['segmentation_id']}/relabel").raise_for_status().json()
    body = client.get("/clusters").json()
    assert body["images"] == 1
    ids = {segment["segmentation_id"] for cluster in body["clusters"] for segment in cluster["segments"]}
    assert ids == {again["segmentation_id"]}


def test_the_newest_images_are_looked_at_first(client: TestClient, send: Send) -> None:
    send(painted("yellow", seed=1))
    newest = send(painted("magenta", seed=2))
    body = client.get("/clusters?images=1").json()
    assert body["images"] == 1
    ids = {segment["segmentation_id"] for cluster in body["clusters"] for segment in cluster["segments"]}
    assert ids == {newest["segmentation_id"]}


def test_unsure_segments_come_along_if_they_are_asked_for(client: TestClient, send: Send) -> None:
    send(Blocks("val")[0].image)
    plant(send, 2)
    unknown, unsure = (client.get(f"/clusters?which={which}").json() for which in ("unknown", "unsure"))
    assert unsure["segments"] >= unknown["segments"]
    known = [one for cluster in unsure["clusters"] for one in cluster["segments"] if one["known"]]
    for one in known:
        segment = client.get(f"/explain/{one['segment_id']}").json()
        assert segment["confidence"] < 0.6


def test_the_limits_of_an_answer_are_kept(client: TestClient, send: Send) -> None:
    plant(send)
    every = client.get("/clusters").json()
    few = client.get("/clusters?limit=1&members=2").json()
    assert few["clusters_found"] == every["clusters_found"] > 1
    assert len(few["clusters"]) == 1
    assert members(few["clusters"][0]) == members(every["clusters"][0])[:2]
    assert few["clusters"][0]["size"] == every["clusters"][0]["size"]
    for query in ("limit=0", "limit=65", "members=201", "images=201", "which=all"):
        refused = client.get(f"/clusters?{query}")
        assert refused.status_code == 422
        assert {"received", "allowed", "fix"} & set(refused.json())


def test_without_images_there_are_no_clusters(client: TestClient) -> None:
    body = client.get("/clusters").raise_for_status().json()
    assert (body["images"], body["segments"], body["clusters"]) == (0, 0, [])


def test_the_answer_is_the_same_again(client: TestClient, send: Send) -> None:
    plant(send)
    assert client.get("/clusters").json() == client.get("/clusters").json()


def test_an_image_that_is_no_longer_stored_is_left_out(client: TestClient, send: Send) -> None:
    answer = send(painted("yellow", seed=1))
    client.delete(f"/segmentations/{answer['segmentation_id']}").raise_for_status()
    assert client.get("/clusters").json()["images"] == 0


def test_a_reader_gets_clusters_and_suggestions_of_its_own_images_alone(start: Callable[..., TestClient]) -> None:
    keys = {"ann": "reader", "bob": "reader", "eve": "curator"}
    lines = ",".join(f"{name}:{role}:{hashlib.sha256(name.encode()).hexdigest()}" for name, role in keys.items())
    with start(api_keys=lines) as client:
        sent = {}
        for seed, name in enumerate(("ann", "bob")):
            headers = {"X-API-Key": name}
            body = client.post("/segment", content=encoded(painted("yellow", seed=seed)), headers=headers).json()
            sent[name] = body["segmentation_id"]

        def seen(name: str) -> tuple[set[str], set[str]]:
            headers = {"X-API-Key": name}
            clusters = client.get("/clusters", headers=headers).raise_for_status().json()["clusters"]
            suggested = client.get("/suggestions", headers=headers).raise_for_status().json()["suggestions"]
            return (
                {one["segmentation_id"] for cluster in clusters for one in cluster["segments"]},
                {one["segmentation_id"] for one in suggested},
            )

        assert seen("ann") == ({sent["ann"]}, {sent["ann"]})
        assert seen("bob") == ({sent["bob"]}, {sent["bob"]})
        assert seen("eve")[0] == set(sent.values())
        assert client.get("/clusters").status_code == client.get("/suggestions").status_code == 401
        skipped = client.get(f"/suggestions?skip={sent['bob']}", headers={"X-API-Key": "ann"}).json()
        assert len(skipped["suggestions"]) == 1, "the answer of another key does not count"
