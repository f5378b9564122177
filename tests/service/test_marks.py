"""Marks on an answer: POST /segmentations/{segmentation_id}/marks and /preview."""

import copy
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from tests.conftest import Blocks
from tests.service.conftest import encoded
from tests.service.images.test_strokes import mask as drawn
from tests.service.stroking import (
    DOT,
    LINE,
    SIZE,
    answer_of,
    apply,
    class_map,
    exemplar_mask,
    mask_of,
    names_of,
    preview,
    relabelled,
    run_lengths,
    union,
)

OTHERS = [encoded(Blocks("val", count=9)[n].image) for n in (1, 2, 3)]


def random_marks(answer: dict[str, Any], seed: int) -> dict[str, Any]:
    """A few marks of random kinds, places, classes and scope."""
    random = np.random.default_rng(seed)
    classes, strokes = ["brick", "water", "lava", "fog"], []
    for _ in range(random.integers(1, 4)):
        x, y = random.integers(5, 85), random.integers(5, 60)
        piece = np.zeros(SIZE, dtype=bool)
        piece[y : y + 8, x : x + 9] = True
        shape = [
            {"points": [[int(x), int(y)], [int(random.integers(0, 96)), int(random.integers(0, 72))]], "width": 5},
            {"polygon": [[[int(x), int(y)], [int(x) + 20, int(y) + 3], [int(x) + 6, int(y) + 15]]]},
            {"mask": run_lengths(piece)},
        ][random.integers(3)]
        strokes.append({"class_name": str(random.choice(classes)), **shape})
    chosen = random.choice(len(answer["segments"]), 2, replace=False)
    labels = [
        {"segment_id": answer["segments"][n]["segment_id"], "class_name": str(random.choice(classes))} for n in chosen
    ]
    kinds = [{"labels": labels}, {"strokes": strokes}, {"labels": labels, "strokes": strokes}]
    return {**kinds[seed % 3], "scope": "image" if seed % 4 == 3 else "all"}


def stored(settings: Settings) -> list[str]:
    """Everything in the database."""
    with closing(sqlite3.connect(Path(settings.data_dir) / "segsort.sqlite")) as database:
        return list(database.iterdump())


def test_marks_of_every_kind_are_one_edit_and_win_their_pixels(client: TestClient) -> None:
    answer = answer_of(client)
    whole = answer["segments"][0]
    polygon = {
        "class_name": "mud",
        "polygon": [[[2, 50], [30, 50], [30, 70], [2, 70]], [[8, 56], [14, 56], [14, 62], [8, 62]]],
    }
    piece = np.zeros(SIZE, dtype=bool)
    piece[30:40, 60:80] = True
    mask = {"class_name": "reed", "mask": run_lengths(piece)}
    body = apply(
        client, answer, labels=[{"segment_id": whole["segment_id"], "class_name": "kerb", "color": "#102030"}],
        strokes=[LINE, DOT, polygon, mask], reason="all at once",
    )  # fmt: skip
    edit = body["edit"]
    assert (edit["kind"], edit["revision"], edit["scope"], edit["reason"]) == ("mark", 1, "all", "all at once")
    assert sorted(c["name"] for c in body["classes"]) == ["fog", "kerb", "lava", "mud", "reed"]
    assert {e["scope"] for e in body["exemplars"]} == {"all"}
    ring = np.zeros(SIZE, dtype=bool)
    ring[50:70, 2:30] = True
    ring[56:62, 8:14] = False
    line, dot = drawn(LINE["points"], 4, SIZE), drawn(DOT["points"], 7, SIZE)
    np.testing.assert_array_equal(union(client, body["exemplars"], "mud"), ring)
    np.testing.assert_array_equal(union(client, body["exemplars"], "reed"), piece)
    np.testing.assert_array_equal(union(client, body["exemplars"], "lava"), line)
    strokes = line | dot | ring | piece
    np.testing.assert_array_equal(union(client, body["exemplars"], "kerb"), mask_of(whole) & ~strokes)
    classes = class_map(body["relabelled"])
    winners = [e for e in body["exemplars"] if e["wins"]]  # five classes on three colours cannot all win
    assert len(winners) > len(body["exemplars"]) / 2
    for one in body["exemplars"]:
        inside = exemplar_mask(client, one["exemplar_id"])
        assert (classes[inside] == one["class_id"]).all() == one["wins"]
    client.post("/edits/1/revert", json={}).raise_for_status()
    assert {c["name"] for c in client.get("/classes").json()} == {"brick", "grass", "water"}


@pytest.mark.parametrize("order", [("slate", "amber", "moss"), ("moss", "slate", "amber"), ("amber", "moss", "slate")])
def test_classes_are_created_in_the_order_in_which_strokes_name_them(
    client: TestClient, order: tuple[str, ...]
) -> None:
    answer = answer_of(client)
    strokes = [
        {"class_name": name, "points": [[72 - 30 * n, 8], [72 - 30 * n, 64]], "width": 6}
        for n, name in enumerate(order)
    ]
    added = apply(client, answer, strokes=strokes)
    assert [one["name"] for one in added["classes"]] == list(order)


def test_a_whole_segment_becomes_an_exemplar_with_its_recorded_prototype_and_pixels(client: TestClient) -> None:
    answer = answer_of(client)
    segment = answer["segments"][3]
    body = apply(client, answer, labels=[{"segment_id": segment["segment_id"], "class_name": "kerb"}])
    assert [s["mask"] for s in body["relabelled"]["segments"]] == [s["mask"] for s in answer["segments"]]
    np.testing.assert_array_equal(exemplar_mask(client, body["exemplars"][0]["exemplar_id"]), mask_of(segment))
    assert body["relabelled"]["segments"][3]["class_name"] == "kerb"
    assert body["edit"]["segment_ids"] == [segment["segment_id"]]
    why = client.get(f"/explain/{segment['segment_id']}").json()
    assert why["corrections"] == [{"revision": 1, "class_name": "kerb", "author": "local"}]
    again = apply(client, answer, 200, labels=[{"segment_id": segment["segment_id"], "class_name": "kerb"}])
    assert again["edit"] is None
    assert not again["exemplars"][0]["added"]
    other = apply(client, answer, labels=[{"segment_id": segment["segment_id"], "class_name": "fog"}])
    assert other["edit"]["replaces"] == [body["exemplars"][0]["exemplar_id"]]


@pytest.mark.parametrize("seed", range(8))
def test_a_preview_writes_nothing_and_equals_what_the_edit_then_does(
    client: TestClient, settings: Settings, seed: int
) -> None:
    others = [answer_of(client, image) for image in OTHERS]
    apply(client, others[0], strokes=[DOT], scope="image")  # exemplars for another image alone
    answer = answer_of(client)
    replaced = [{"segment_id": s["segment_id"], "class_name": "reed"} for s in answer["segments"]]
    apply(client, answer, labels=replaced, scope="image" if seed % 2 else "all")
    marks = random_marks(answer, seed)
    before, revision = stored(settings), client.get("/readyz").json()["index_revision"]
    shown = preview(client, answer, **marks)
    assert preview(client, answer, **marks)["elsewhere"] == shown["elsewhere"]
    assert stored(settings) == before
    assert client.get("/readyz").json()["index_revision"] == revision == shown["relabelled"]["index_revision"]
    assert client.get(f"/segmentations/{shown['relabelled']['segmentation_id']}").status_code == 404
    assert client.get(shown["relabelled"]["image_url"]).status_code == 200
    elsewhere = shown["elsewhere"]
    assert len(elsewhere) == len(others)
    present = [names_of(relabelled(client, one)) for one in elsewhere]
    body = apply(client, answer, **marks)["relabelled"]
    for name in ("mask", "class_id", "class_name", "confidence", "known", "area", "bbox", "exemplars"):
        assert [s[name] for s in shown["relabelled"]["segments"]] == [s[name] for s in body["segments"]], name
    assert shown["relabelled"]["classes"] == body["classes"]
    changes = [[{**one, "segment_id": ""} for one in found["changed"]] for found in (shown["relabelled"], body)]
    assert changes[0] == changes[1]
    for one, was in zip(elsewhere, present, strict=True):
        segments = client.get(f"/segmentations/{one['segmentation_id']}").json()["segments"]
        assert len(segments) == one["segments"]
        now = names_of(relabelled(client, one))
        assert one["changed"] == [
            {"segment_id": segment["segment_id"], "before": old, "after": new, "area": segment["area"]}
            for segment, old, new in zip(segments, was, now, strict=True)
            if old != new
        ]
        assert marks["scope"] == "all" or not one["changed"]


def test_previews_change_something_elsewhere_and_here(client: TestClient) -> None:
    """Otherwise the test above would compare empty lists."""
    for image in OTHERS:
        answer_of(client, image)
    answer = answer_of(client)
    found = [preview(client, answer, **random_marks(answer, seed)) for seed in (0, 1, 2)]
    assert all(one["relabelled"]["changed"] for one in found)
    assert any(other["changed"] for one in found for other in one["elsewhere"])


def test_elsewhere_lists_the_newest_answer_of_each_of_the_newest_other_images(client: TestClient) -> None:
    answers = [answer_of(client, OTHERS[n]) for n in (0, 1, 0, 2, 1)]
    answer = answer_of(client)
    marks = {"strokes": [DOT]}

    def listed(query: str) -> list[str]:
        return [one["segmentation_id"] for one in preview(client, answer, query=query, **marks)["elsewhere"]]

    newest = [answers[n]["segmentation_id"] for n in (4, 3, 2)]
    assert listed("") == newest
    assert listed("?elsewhere=2") == newest[:2]
    assert listed("?elsewhere=0") == []
    for wrong in (-1, 51, "x"):
        assert preview(client, answer, 422, f"?elsewhere={wrong}", **marks)["status"] == 422


def test_edits_after_a_preview_are_not_disturbed_by_it(client: TestClient) -> None:
    """A preview appends to columns that the states share."""
    answer = answer_of(client)
    preview(client, answer, strokes=[LINE])
    first = apply(client, answer, strokes=[DOT])
    preview(client, answer, strokes=[LINE | {"class_name": "mud"}])
    second = apply(client, answer, strokes=[LINE])
    listed = client.get("/exemplars?limit=1000").json()["exemplars"]
    added = [one["exemplar_id"] for one in listed if one["added_in"] is not None]
    assert set(added) == {e["exemplar_id"] for e in first["exemplars"] + second["exemplars"]}
    assert {one["class_name"] for one in listed if one["added_in"] is not None} == {"fog", "lava"}


def test_marks_need_no_network_while_the_embeddings_of_the_image_are_kept(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = answer_of(client)
    engine = client.app.state.engine
    embedder, runs = engine.served.predictor.embedder, []
    embed = embedder.embed
    monkeypatch.setattr(embedder, "embed", lambda image: runs.append(1) or embed(image))
    first = preview(client, answer, strokes=[LINE])["relabelled"]["segments"]
    assert runs == []
    engine.embeddings.put(
        engine.served.live.digest,
        answer["image_id"],
        engine.embeddings.get(engine.served.live.digest, answer["image_id"]),
    )
    engine.embeddings._found.clear()
    again = preview(client, answer, strokes=[LINE])["relabelled"]["segments"]
    assert runs == [1]
    strip = [[{k: v for k, v in s.items() if k != "segment_id"} for s in copy.deepcopy(one)] for one in (first, again)]
    assert strip[0] == strip[1]


def test_two_classes_in_one_segment_split_it_and_one_class_in_two_merges_them(client: TestClient) -> None:
    answer = answer_of(client, query="?segments=2")
    large = max(answer["segments"], key=lambda s: s["area"])
    x, y, w, h = large["bbox"]
    inside = mask_of(large)
    columns = np.arange(SIZE[1])[None].repeat(SIZE[0], axis=0)
    left, right = inside & (columns < x + w // 2), inside & (columns >= x + w // 2)
    strokes = [{"class_name": "lava", "mask": run_lengths(left)}, {"class_name": "fog", "mask": run_lengths(right)}]
    body = apply(client, answer, strokes=strokes)["relabelled"]
    now = [s for s in body["segments"] if (mask_of(s) & inside).any()]
    assert {s["area"] for s in now} == {int(left.sum()), int(right.sum())}
    labels = [{"segment_id": s["segment_id"], "class_name": "mud"} for s in now]
    merged = apply(client, body, labels=labels)["relabelled"]
    of_mud = [mask_of(s) for s in merged["segments"] if s["class_name"] == "mud"]
    assert (np.any(of_mud, axis=0) & inside).sum() == inside.sum()
