"""Strokes of POST /exemplars: exemplars of exactly their pixels and the divided answer."""

import base64
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from model_store.explanation import replay
from service.settings import Settings
from tests.conftest import Blocks
from tests.service.conftest import encoded
from tests.service.images.test_strokes import mask as drawn
from tests.service.stroking import (
    DOT,
    IMAGE,
    LINE,
    SAMPLE,
    SIZE,
    answer_of,
    base64_of,
    class_map,
    mark,
    mask_of,
    union,
)


def test_exactly_the_pixels_under_strokes_become_exemplars(client: TestClient) -> None:
    body = mark(client, [LINE, DOT], reason="first", source="yard/1")
    assert (body["edit"]["kind"], body["edit"]["revision"], body["edit"]["reason"]) == ("add", 1, "first")
    assert [c["name"] for c in body["classes"]] == ["lava", "fog"]
    assert body["relabelled"] is None
    for name, stroke in (("lava", LINE), ("fog", DOT)):
        np.testing.assert_array_equal(
            union(client, body["exemplars"], name), drawn(stroke["points"], stroke["width"], SIZE)
        )
    for one in body["exemplars"]:
        exemplar = client.get(f"/exemplars/{one['exemplar_id']}").json()
        assert (exemplar["area"], exemplar["source"], exemplar["added_in"]) == (one["area"], "yard/1", 1)
        assert exemplar["strength"] == one["strength"]
        assert client.get(exemplar["image_url"]).content == IMAGE
        assert client.get(exemplar["crop_url"]).status_code == 200
    assert len([e for e in body["exemplars"] if e["class_name"] == "lava"]) > 1  # the line crosses several segments


def test_strokes_of_one_class_are_grouped_by_segment(client: TestClient) -> None:
    lines = [{"class_name": "lava", "points": [[4, y], [20, y]], "width": 3} for y in (8, 14)]
    apart = {e["exemplar_id"] for line in lines for e in mark(client, [line])["exemplars"]}
    together = mark(client, lines)["exemplars"]
    assert len(together) < len(apart)
    np.testing.assert_array_equal(
        union(client, together, "lava"), drawn(lines[0]["points"], 3, SIZE) | drawn(lines[1]["points"], 3, SIZE)
    )


def test_the_later_of_two_strokes_and_strokes_over_areas_win(client: TestClient) -> None:
    across = LINE | {"class_name": "fog", "points": [[48, 2], [48, 60]]}
    area = {"class_name": "mud", "polygons": [[0, 0, 96, 0, 96, 72, 0, 72]]}
    body = mark(client, [LINE, across], annotations=[area])
    line, later = drawn(LINE["points"], 4, SIZE), drawn(across["points"], 4, SIZE)
    np.testing.assert_array_equal(union(client, body["exemplars"], "fog"), later)
    np.testing.assert_array_equal(union(client, body["exemplars"], "lava"), line & ~later)
    np.testing.assert_array_equal(union(client, body["exemplars"], "mud"), ~line & ~later)


def test_a_stroke_thinner_than_an_embedding_cell_is_an_exemplar(client: TestClient) -> None:
    body = mark(client, [{"class_name": "lava", "points": [[30.5, 20.5]], "width": 0.5}])
    assert [(e["area"], e["bbox"]) for e in body["exemplars"]] == [(1, [30, 20, 1, 1])]
    assert body["exemplars"][0]["wins"]


def test_strokes_in_a_form_and_beside_a_mask_are_the_same_exemplars(client: TestClient) -> None:
    first = mark(client, [LINE, DOT])
    again = client.post("/exemplars", files={"image": IMAGE}, data={"strokes": json.dumps([LINE, DOT])})
    assert again.status_code == 200
    assert (again.json()["edit"], again.json()["already"]) == (None, len(first["exemplars"]))
    sparse = np.zeros(SIZE, dtype=np.uint8)
    sparse[60:64, 60:70] = 1
    both = client.post(
        "/exemplars",
        files={"image": IMAGE, "mask": encoded(sparse)},
        data={"strokes": json.dumps([LINE, DOT]), "classes": '{"1": "mud"}'},
    ).json()
    assert both["already"] == len(first["exemplars"])
    np.testing.assert_array_equal(union(client, both["exemplars"], "mud"), sparse == 1)


def test_the_same_strokes_again_add_nothing_even_after_other_edits(client: TestClient) -> None:
    first = mark(client, [LINE])
    mark(client, [LINE | {"class_name": "brick", "points": [[14, 40], [80, 40]]}])
    client.post("/classes", json={"class_id": 3, "name": "magma"}).raise_for_status()
    again = mark(client, [LINE | {"class_name": "magma"}], 200)
    assert again["edit"] is None
    assert [e["exemplar_id"] for e in again["exemplars"]] == [e["exemplar_id"] for e in first["exemplars"]]
    assert not any(e["added"] for e in again["exemplars"])


def test_the_edit_is_reverted_and_restored_as_one(client: TestClient) -> None:
    before = class_map(answer_of(client))
    body = mark(client, [LINE, DOT])
    assert (class_map(answer_of(client)) != before).any()
    client.post("/edits/1/revert", json={}).raise_for_status()
    np.testing.assert_array_equal(class_map(answer_of(client)), before)
    assert {c["name"] for c in client.get("/classes").json()} == {"brick", "grass", "water"}
    client.post("/edits/2/revert", json={}).raise_for_status()
    assert client.get("/exemplars?removed=true").json()["total"] == 0
    assert mark(client, [LINE, DOT], 200)["already"] == len(body["exemplars"])


def test_strokes_are_replayed_at_the_next_start(start: Callable[..., TestClient]) -> None:
    with start() as client:
        mark(client, [LINE, DOT])
        before, listed = class_map(answer_of(client)), client.get("/exemplars?limit=5").json()
    with start() as client:
        assert client.get("/readyz").json()["index_revision"] == 1
        np.testing.assert_array_equal(class_map(answer_of(client)), before)
        assert client.get("/exemplars?limit=5").json() == listed
        assert mark(client, [LINE, DOT], 200)["edit"] is None


def test_an_exemplar_that_strokes_of_another_class_cover_is_replaced(client: TestClient) -> None:
    wrong = mark(client, [DOT])["exemplars"]
    over = DOT | {"class_name": "lava", "width": 9}
    right = mark(client, [over])
    assert right["edit"]["replaces"] == [e["exemplar_id"] for e in wrong]
    assert client.get(f"/exemplars/{wrong[0]['exemplar_id']}").json()["removed_in"] == 2
    assert right["exemplars"][0]["wins"]
    partly = mark(client, [DOT | {"width": 3}])
    assert "replaces" not in partly["edit"]  # it covers only a part of what it contradicts
    client.post("/edits/2/revert", json={}).raise_for_status()
    assert client.get(f"/exemplars/{wrong[0]['exemplar_id']}").json()["removed_in"] is None


# The answer that strokes divide.


@pytest.fixture
def marked(client: TestClient) -> tuple[dict[str, Any], dict[str, Any]]:
    """An answer, and what strokes on it give."""
    answer = answer_of(client, query="?segments=3")
    return answer, mark(client, [LINE, DOT], segmentation_id=answer["segmentation_id"])


def test_the_pixels_under_strokes_are_segments_of_their_class(client: TestClient, marked: tuple) -> None:
    answer, body = marked
    again = body["relabelled"]
    assert again["relabelled_from"] == answer["segmentation_id"] != again["segmentation_id"]
    assert again["index_revision"] == body["index_revision"] == 1
    classes, ids = class_map(again), {c["name"]: c["class_id"] for c in again["classes"]}
    assert all(e["wins"] for e in body["exemplars"])
    for stroke in (LINE, DOT):
        inside = drawn(stroke["points"], stroke["width"], SIZE)
        assert (classes[inside] == ids[stroke["class_name"]]).all()
    masks = {s["mask"]["counts"]: s for s in again["segments"]}
    for one in body["exemplars"]:
        segment = masks[client.get(f"/exemplars/{one['exemplar_id']}").json()["mask"]["counts"]]
        assert segment["class_name"] == one["class_name"]
        nearest = segment["exemplars"][0]
        assert nearest["similarity"] == pytest.approx(1, abs=1e-5)


def test_segments_that_no_stroke_crosses_stay_as_they_are(client: TestClient) -> None:
    answer = answer_of(client)
    again = mark(client, [DOT], segmentation_id=answer["segmentation_id"])["relabelled"]
    inside = drawn(DOT["points"], DOT["width"], SIZE)
    crossed = [s for s in answer["segments"] if (mask_of(s) & inside).any()]
    kept = [s for s in answer["segments"] if s not in crossed]
    assert crossed
    assert kept
    new = {s["mask"]["counts"] for s in again["segments"]}
    assert {s["mask"]["counts"] for s in kept} <= new
    assert not {s["mask"]["counts"] for s in crossed} & new


def test_the_pieces_of_a_crossed_segment_that_are_like_the_stroke_take_its_class(client: TestClient) -> None:
    """One segment holds two colours; a stroke on one colour takes this colour's pixels, and leaves the others."""
    colors = np.array([[200, 40, 30], [30, 60, 210]])
    place = np.arange(96) >= 60
    noise = np.random.default_rng(0).normal(0, 8, (72, 96, 3))
    image = encoded(np.clip(colors[place.astype(int)][None] + noise, 0, 255).astype(np.uint8))
    answer = answer_of(client, image, "?segments=1")
    assert len(answer["segments"]) == 1
    stroke = {"class_name": "lava", "points": [[70, 20], [90, 60]], "width": 3}
    again = mark(client, [stroke], segmentation_id=answer["segmentation_id"])["relabelled"]
    lava = class_map(again) == 3
    assert lava[:, 62:].mean() > 0.97
    assert lava[:, :58].mean() < 0.03
    for change in again["changed"]:
        assert change["before_segment_id"] == answer["segments"][0]["segment_id"]
    assert {c["after"] for c in again["changed"]} >= {"lava"}


def test_every_label_of_the_divided_answer_can_be_replayed(client: TestClient, marked: tuple) -> None:
    for segment in marked[1]["relabelled"]["segments"]:
        why = client.get(f"/explain/{segment['segment_id']}").raise_for_status().json()
        again = replay(why)
        assert (again.class_id, again.flip_set_holds) == (segment["class_id"], True)
        assert why["share"] == pytest.approx(again.shares[again.class_id])


def test_a_later_relabelling_keeps_the_division(client: TestClient, marked: tuple) -> None:
    divided = marked[1]["relabelled"]
    later = client.post(f"/segmentations/{divided['segmentation_id']}/relabel").raise_for_status().json()
    assert [s["mask"] for s in later["segments"]] == [s["mask"] for s in divided["segments"]]
    assert [s["class_id"] for s in later["segments"]] == [s["class_id"] for s in divided["segments"]]
    assert later["changed"] == []
    stored = client.get(f"/segmentations/{divided['segmentation_id']}").raise_for_status().json()
    assert stored["segments"] == divided["segments"]
    segment = divided["segments"][-1]
    corrected = client.post(f"/segments/{segment['segment_id']}/label", json={"class_name": "mud"})
    assert [c["after"] for c in corrected.json()["relabelled"]["changed"]].count("mud") >= 1


def test_strokes_on_a_divided_answer_divide_it_further(client: TestClient, marked: tuple) -> None:
    divided = marked[1]["relabelled"]
    stroke = {"class_name": "mud", "points": [[40, 2], [40, 70]], "width": 3}
    again = mark(client, [stroke], segmentation_id=divided["segmentation_id"])["relabelled"]
    classes, ids = class_map(again), {c["name"]: c["class_id"] for c in again["classes"]}
    under = drawn(stroke["points"], 3, SIZE)
    assert (classes[under] == ids["mud"]).all()
    for segment in again["segments"]:  # it lies under the stroke, or inside one segment of the answer before
        inside = mask_of(segment)
        if not inside[under].any():
            assert any((inside <= mask_of(before)).all() for before in divided["segments"])


def test_the_same_strokes_on_the_same_answer_give_the_same_division(client: TestClient, marked: tuple) -> None:
    answer, first = marked
    second = mark(client, [LINE, DOT], 200, segmentation_id=answer["segmentation_id"])
    assert (second["edit"], second["already"]) == (None, len(first["exemplars"]))
    for name in ("mask", "class_id"):
        assert [s[name] for s in second["relabelled"]["segments"]] == [s[name] for s in first["relabelled"]["segments"]]


def test_annotations_on_an_answer_relabel_it_without_dividing_it(client: TestClient) -> None:
    answer = answer_of(client)
    area = {"class_name": "lava", "polygons": [[10, 10, 60, 10, 60, 40]]}
    body = {"segmentation_id": answer["segmentation_id"], "annotations": [area]}
    again = client.post("/exemplars", json=body).json()["relabelled"]
    assert [s["mask"] for s in again["segments"]] == [s["mask"] for s in answer["segments"]]


def test_the_answer_can_be_left_out(client: TestClient) -> None:
    answer = answer_of(client)
    body = mark(client, [DOT], query="?relabel=false", segmentation_id=answer["segmentation_id"])
    assert body["relabelled"] is None
    none = mark(client, [LINE], query="?exemplars=0", segmentation_id=answer["segmentation_id"])
    assert all(s["exemplars"] == [] for s in none["relabelled"]["segments"])


def rotated_jpeg(size: tuple[int, int], orientation: int) -> bytes:
    """A JPEG whose left half is red and whose right half is blue when it is upright; size is (H, W) upright."""
    upright = np.zeros((*size, 3), dtype=np.uint8)
    upright[:, : size[1] // 2], upright[:, size[1] // 2 :] = (200, 40, 30), (30, 60, 210)
    image = Image.fromarray(upright)
    if orientation == 6:  # shown after a turn by 90 degrees clockwise
        image = image.transpose(Image.Transpose.ROTATE_90)
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image.save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("size", [(72, 96), (900, 1300)], ids=["small", "reduced"])
def test_strokes_are_in_pixels_of_the_upright_image_at_its_full_size(
    client: TestClient, size: tuple[int, int], orientation: int
) -> None:
    image, (H, W) = rotated_jpeg(size, orientation), size
    answer = answer_of(client, image)
    assert (answer["height"], answer["width"]) == size
    stroke = {"class_name": "lava", "points": [[W * 0.7, H * 0.2], [W * 0.9, H * 0.8]], "width": W / 30}
    body = mark(client, [stroke], segmentation_id=answer["segmentation_id"])
    np.testing.assert_array_equal(union(client, body["exemplars"], "lava"), drawn(stroke["points"], W / 30, size))
    classes = class_map(body["relabelled"]) == 3
    assert classes[:, W * 6 // 10 :].mean() > 0.99
    assert classes[:, : W * 4 // 10].mean() < 0.01


def test_image_and_answer_may_both_be_sent_where_they_belong_together(
    client: TestClient, start: Callable[..., TestClient]
) -> None:
    answer = answer_of(client)
    other = encoded(Blocks("val", count=9)[6].image)
    problem = mark(client, [DOT], 422, segmentation_id=answer["segmentation_id"], image=base64_of(other))
    assert "not the one of the answer" in problem["detail"]
    small = base64_of(encoded(SAMPLE.image[:40]))
    problem = mark(client, [DOT], 422, segmentation_id=answer["segmentation_id"], image=small)
    assert problem["received"].startswith("96x40")
    body = mark(client, [DOT], segmentation_id=answer["segmentation_id"], image=base64_of(IMAGE))
    assert body["relabelled"]["relabelled_from"] == answer["segmentation_id"]


def test_an_answer_whose_image_is_not_kept_needs_the_image(start: Callable[..., TestClient]) -> None:
    with start(keep_images_mb=0) as client:
        answer = answer_of(client)
        problem = mark(client, [DOT], 409, segmentation_id=answer["segmentation_id"])
        assert "no longer kept" in problem["detail"]
        body = mark(client, [DOT], segmentation_id=answer["segmentation_id"], image=base64_of(IMAGE))
        assert body["relabelled"]["image_url"] is not None  # an exemplar's image is kept


def test_an_unknown_answer_and_one_of_another_release_are_refused(client: TestClient, settings: Settings) -> None:
    assert "no such answer" in mark(client, [DOT], 404, segmentation_id="3f" * 16)["detail"]
    assert "no such answer" in mark(client, [DOT], 404, segmentation_id="../é")["detail"]
    answer = answer_of(client)
    bundled = next(r["name"] for r in client.get("/releases").json() if r["bundled"])
    client.post(f"/releases/{bundled}/activate").raise_for_status()
    problem = mark(client, [DOT], 409, segmentation_id=answer["segmentation_id"])
    assert problem["received"]["release"] == answer["release"]
    assert client.get("/edits").json() == []


def test_a_pixel_stroked_with_two_classes_that_look_the_same_says_which_wins(client: TestClient) -> None:
    flat = base64_of(encoded(np.full((72, 96, 3), 120, dtype=np.uint8)))
    strokes = [DOT | {"class_name": "one"}, DOT | {"class_name": "two", "points": [[70, 60]]}]
    body = mark(client, strokes, image=flat)
    wins = {e["class_name"]: e["wins"] for e in body["exemplars"]}
    assert not all(wins.values())
    again = {s["class_name"] for s in answer_of(client, base64.b64decode(flat))["segments"]}
    assert again == {name for name, won in wins.items() if won}


def test_strokes_reach_the_replica_over_the_same_database(start: Callable[..., TestClient]) -> None:
    with start() as one, start() as other:
        revision = mark(one, [LINE])["index_revision"]
        answer = answer_of(other, query=f"?min_index_revision={revision}")
        inside = drawn(LINE["points"], 4, SIZE)
        assert (class_map(answer) == 3)[inside].mean() > 0.5
        again = mark(other, [LINE], 200, segmentation_id=answer["segmentation_id"])
        assert math.isclose((class_map(again["relabelled"]) == 3)[inside].mean(), 1)


def test_the_first_strokes_teach_an_empty_release_its_first_classes(
    start: Callable[..., TestClient], empty_release: Path
) -> None:
    with start(release=str(empty_release)) as client:
        answer = answer_of(client, query="?segments=3")
        assert {s["class_name"] for s in answer["segments"]} == {None}
        body = mark(client, [LINE, DOT], segmentation_id=answer["segmentation_id"])
        assert [c["class_id"] for c in body["classes"]] == [0, 1]
        assert all(e["wins"] for e in body["exemplars"])
        classes = class_map(body["relabelled"])
        for class_id, stroke in enumerate((LINE, DOT)):
            assert (classes[drawn(stroke["points"], stroke["width"], SIZE)] == class_id).all()
        assert {c["before"] for c in body["relabelled"]["changed"]} == {None}
        for segment in body["relabelled"]["segments"]:
            why = client.get(f"/explain/{segment['segment_id']}").json()
            assert replay(why).class_id == segment["class_id"]
        client.post("/edits/1/revert", json={}).raise_for_status()
        assert {s["class_name"] for s in answer_of(client)["segments"]} == {None}
