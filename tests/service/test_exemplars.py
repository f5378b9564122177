"""Adding exemplars: masks, annotations, JSON, and refused requests."""

import base64
import hashlib
import io
import json

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from pycocotools import mask as coco

from segsort.masks import decode_rle
from tests.conftest import IGNORE, Blocks
from tests.service.conftest import encoded

SAMPLE = Blocks("val", count=9)[7]
IMAGE = encoded(SAMPLE.image)
NAMES = {"0": "brick", "1": "grass", "2": "lava"}
LEFT = np.zeros((72, 96), dtype=np.uint8)
LEFT[:, :48] = 1


def indexed(labels: np.ndarray, form: str = "PNG") -> bytes:
    """Encode [H, W] uint8 as an image file with a palette."""
    image = Image.fromarray(labels)
    image.putpalette([7, 7, 7] * 256)
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def add(client: TestClient, mask: bytes = b"", classes: object = None, query: str = "", **fields: str) -> object:
    files = {"image": ("a.png", IMAGE, "image/png"), "mask": ("m.png", mask or indexed(SAMPLE.labels), "image/png")}
    data = {"classes": json.dumps(NAMES if classes is None else classes), **fields}
    return client.post(f"/exemplars{query}", files=files, data=data)


def annotate(client: TestClient, annotations: object, **more: object) -> object:
    body = {"image": base64.b64encode(IMAGE).decode(), "annotations": annotations, **more}
    return client.post("/exemplars", json=body)


def rle(mask: np.ndarray) -> dict:
    encoded_mask = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": encoded_mask["counts"].decode()}


def test_the_exemplars_of_an_indexed_mask_lie_inside_their_class(client: TestClient) -> None:
    response = add(client, reason="first", source="yard/1")
    body = response.json()
    assert response.status_code == 201, body
    assert body["index_revision"] == body["edit"]["revision"] == 1
    assert (body["edit"]["kind"], body["edit"]["reason"], body["already"]) == ("add", "first", 0)
    assert [c["name"] for c in body["classes"]] == ["lava"]
    assert {e["class_name"] for e in body["exemplars"]} == set(NAMES.values())
    for added in body["exemplars"]:
        exemplar = client.get(f"/exemplars/{added['exemplar_id']}").json()
        mask = decode_rle(exemplar["mask"]["counts"], tuple(exemplar["mask"]["size"]))
        assert set(SAMPLE.labels[mask]) == {list(NAMES.values()).index(added["class_name"])}
        assert (mask.sum(), exemplar["area"], exemplar["strength"]) == (added["area"], added["area"], 1)
        assert (exemplar["source"], exemplar["added_in"], exemplar["author"]) == ("yard/1", 1, "local")
        assert client.get(exemplar["image_url"]).content == IMAGE
        crop = Image.open(io.BytesIO(client.get(exemplar["crop_url"]).content))
        assert crop.width >= added["bbox"][2]
    covered = sum(e["area"] for e in body["exemplars"])
    assert covered == (SAMPLE.labels != IGNORE).sum() or covered > 0.99 * (SAMPLE.labels != IGNORE).sum()


def test_added_exemplars_change_the_next_answer(client: TestClient) -> None:
    before = client.post("/segment", content=IMAGE).json()
    assert "lava" not in {s["class_name"] for s in before["segments"]}
    assert add(client).status_code == 201
    after = client.post("/segment?min_index_revision=1&k=1", content=IMAGE).json()
    predicted = np.full(SAMPLE.labels.shape, 255)
    for segment in after["segments"]:
        mask = decode_rle(segment["mask"]["counts"], tuple(segment["mask"]["size"]))
        predicted[mask] = (
            list(NAMES.values()).index(segment["class_name"]) if segment["class_name"] in NAMES.values() else 254
        )
    lava = SAMPLE.labels == 2
    assert (predicted[lava] == 2).mean() > 0.95


def test_the_same_content_again_adds_nothing(client: TestClient) -> None:
    first = add(client).json()
    again = add(client)
    body = again.json()
    assert again.status_code == 200
    assert body["edit"] is None
    assert body["already"] == len(first["exemplars"])
    assert [e["exemplar_id"] for e in body["exemplars"]] == [e["exemplar_id"] for e in first["exemplars"]]
    assert len(client.get("/edits").json()) == 1
    client.post("/classes", json={"class_id": 3, "name": "magma"}).raise_for_status()
    renamed = add(client, classes={**NAMES, "2": "magma"}).json()
    assert renamed["edit"] is None


def test_the_name_of_an_image_without_a_source_is_that_of_earlier_versions(client: TestClient) -> None:
    """The name is part of the exemplars' ids: another one would make stored exemplars unknown."""
    exemplar = client.get(f"/exemplars/{add(client).json()['exemplars'][0]['exemplar_id']}").json()
    assert exemplar["source"] == f"picture {hashlib.sha256(IMAGE).hexdigest()[:16]}"


def test_a_removed_exemplar_is_restored_when_it_is_added_again(client: TestClient) -> None:
    first = add(client).json()
    gone = first["exemplars"][0]["exemplar_id"]
    client.delete(f"/exemplars/{gone}").raise_for_status()
    back = add(client).json()
    assert back["edit"]["exemplar_ids"] == [gone]
    assert back["already"] == len(first["exemplars"]) - 1
    assert client.get(f"/exemplars/{gone}").json()["removed_in"] is None


def test_colour_masks_grey_masks_and_run_lengths_give_the_same_exemplars(client: TestClient) -> None:
    palette = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=np.uint8)
    colors = np.where((SAMPLE.labels == IGNORE)[:, :, None], 9, palette[np.minimum(SAMPLE.labels, 2)]).astype(np.uint8)
    by_index = add(client).json()
    named = {"#ff0000": "brick", "#00FF00": {"name": "Grass"}, "0000ff": {"class_id": 3}}
    assert add(client, encoded(colors), named).json()["already"] == len(by_index["exemplars"])
    assert add(client, encoded(SAMPLE.labels)).json()["already"] == len(by_index["exemplars"])
    masks = [{"class_name": n, "mask": rle(SAMPLE.labels == int(i))} for i, n in NAMES.items()]
    assert annotate(client, masks).json()["already"] == len(by_index["exemplars"])
    runs = [{"class_name": "brick", "mask": {"size": [72, 96], "counts": [72 * 48, 72 * 48]}}]
    assert annotate(client, runs).status_code == 201


def test_a_later_annotation_covers_an_earlier_one(client: TestClient) -> None:
    whole = [0, 0, 96, 0, 96, 72, 0, 72]
    left = [0, 0, 48, 0, 48, 72, 0, 72]
    body = annotate(
        client, [{"class_name": "brick", "polygons": [whole]}, {"class_name": "lava", "polygons": [left]}]
    ).json()
    areas = {name: sum(e["area"] for e in body["exemplars"] if e["class_name"] == name) for name in ("brick", "lava")}
    assert areas["brick"] == pytest.approx(72 * 48, abs=72)
    assert areas["lava"] == pytest.approx(72 * 48, abs=72)


def test_a_tiny_region_becomes_an_exemplar(client: TestClient) -> None:
    body = annotate(client, [{"class_name": "dot", "polygons": [[10, 10, 12, 10, 12, 12, 10, 12]]}]).json()
    assert [e["class_name"] for e in body["exemplars"]] == ["dot"] * len(body["exemplars"])
    assert body["exemplars"]


def test_polygons_of_an_answer_with_a_hole_give_exemplars_with_the_hole(client: TestClient) -> None:
    outer = [[10, 10], [60, 10], [60, 60], [10, 60]]
    hole = [[20, 20], [50, 20], [50, 50], [20, 50]]
    body = annotate(client, [{"class_name": "frame", "polygons": [outer, hole]}]).json()
    covered = np.zeros((72, 96), dtype=int)
    for one in body["exemplars"]:
        mask = client.get(f"/exemplars/{one['exemplar_id']}").json()["mask"]
        covered += decode_rle(mask["counts"], tuple(mask["size"]))
    assert not covered[20:50, 20:50].any()
    assert covered.sum() > 0.98 * (50 * 50 - 30 * 30)
    assert body["dropped"] == []


def test_annotations_without_a_pixel_are_listed_and_the_others_become_exemplars(client: TestClient) -> None:
    out = [[200, 1], [220, 1], [220, 20]]
    body = annotate(
        client,
        [{"class_name": "gone", "polygons": [out]}, {"class_name": "edge", "polygons": [[-9, -9, 20, -9, 20, 20]]}],
    ).json()
    assert {one["class_name"] for one in body["exemplars"]} == {"edge"}
    assert [info["name"] for info in body["classes"]] == ["edge"]
    assert body["dropped"] == [
        {"annotation": 0, "ring": 0, "reason": "outside the image"},
        {"annotation": 0, "ring": None, "reason": "covers no pixel"},
    ]


def test_an_annotation_of_a_coco_file_is_pasted_as_it_is(client: TestClient) -> None:
    annotation = {
        "id": 1, "image_id": 9, "category_id": 4, "iscrowd": 0, "area": 400.0, "bbox": [5, 5, 20, 20],
        "segmentation": [[5, 5, 25, 5, 25, 25, 5, 25]],
    }  # fmt: skip
    categories = [{"id": 4, "name": "lava", "supercategory": "stuff"}]
    by_json = annotate(client, [annotation], categories=categories).json()
    assert {one["class_name"] for one in by_json["exemplars"]} == {"lava"}
    form = client.post(
        "/exemplars",
        files={"image": IMAGE},
        data={"annotations": json.dumps([annotation]), "categories": json.dumps(categories)},
    ).json()
    assert form["already"] == len(by_json["exemplars"])
    refused = add(client, categories="[]")
    assert refused.status_code == 422
    assert "`categories` needs `annotations`" in refused.json()["detail"]


def test_an_image_in_json_may_have_line_breaks_or_be_a_data_url(client: TestClient) -> None:
    lines = base64.encodebytes(IMAGE).decode()
    first = annotate(client, [{"class_name": "brick", "polygons": [SQUARE]}], image=lines).json()
    url = f"data:image/png;base64,{lines}"
    again = annotate(client, [{"class_name": "brick", "polygons": [SQUARE]}], image=url).json()
    assert again["already"] == len(first["exemplars"]) > 0


def test_parts_of_a_form_without_file_names_are_read(client: TestClient) -> None:
    fields = {"image": IMAGE, "annotations": json.dumps([{"class_name": "böse", "polygons": [SQUARE]}]).encode(),
              "reason": "größer".encode()}  # fmt: skip
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (n.encode(), c) for n, c in fields.items()
    ]
    body = b"".join(parts) + b"--b--\r\n"
    added = client.post("/exemplars", content=body, headers={"content-type": "multipart/form-data; boundary=b"}).json()
    assert {one["class_name"] for one in added["exemplars"]} == {"böse"}
    assert added["edit"]["reason"] == "größer"


def test_a_class_that_differs_by_case_only_is_the_existing_one(client: TestClient) -> None:
    body = annotate(client, [{"class_name": "BRICK", "polygons": [SQUARE]}]).json()
    assert {one["class_name"] for one in body["exemplars"]} == {"brick"}
    assert body["classes"] == []
    made = client.post("/classes", json={"name": "Brick"})
    assert made.status_code == 409
    assert "'brick'" in made.json()["fix"]


SQUARE = [1, 1, 20, 1, 20, 20]


@pytest.mark.parametrize(
    ("annotations", "named"),
    [
        ([], "annotations"),
        ([{"class_name": "a"}], "annotations[0]"),
        ([{"polygons": [SQUARE]}], "annotations[0] needs a class"),
        ([{"class_name": "a", "class_id": 0, "polygons": [SQUARE]}], "annotations[0] needs a class"),
        ([{"class_name": "", "polygons": [SQUARE]}], "name of the class"),
        ([{"class_name": "x" * 61, "polygons": [SQUARE]}], "name of the class"),
        ([{"class_name": "a\nb", "polygons": [SQUARE]}], "name of the class"),
        ([{"class_name": "a", "polygons": [SQUARE], "color": "red"}], "colour"),
        ([{"class_name": "a", "polygons": [[1, 1, 2, 2]]}], "No annotation covers a pixel"),
        ([{"class_name": "a", "polygons": [[1, 1, 2, 2, 3]]}], "polygons[0]"),
        ([{"class_name": "a", "polygons": [[97, 1, 99, 1, 98, 20]]}], "No annotation covers a pixel"),
        ([{"category_id": 1, "segmentation": [SQUARE]}], "annotations[0].category_id needs `categories`"),
        ([{"class_name": "a", "polygons": [[1, 1, 20, "x", 20, 20]]}], "polygons"),
        ([{"class_name": "a", "polygons": []}], "No annotation covers a pixel"),
        ([{"class_name": "a", "mask": {"size": [96, 72], "counts": [96 * 72]}}], "size"),
        ([{"class_name": "a", "mask": {"size": [72, 96], "counts": [5]}}], "counts"),
        ([{"class_name": "a", "mask": {"size": [72, 96], "counts": [96 * 72]}}], "No annotation covers a pixel"),
        ([{"class_name": "a", "mask": {"size": [72, 96], "counts": [-1, 96 * 72 + 1]}}], "counts"),
        ([{"class_name": "a", "mask": {"size": [72, 96], "counts": "!!"}}], "run lengths"),
        ([{"class_name": "a", "mask": {"size": [72, 96], "counts": "o" * 40}}], "run lengths"),
        ([{"class_name": "a", "mask": {"size": [72, 96], "counts": ""}}], "cover"),
        ([{"class_name": "a", "shape": 1}], "shape"),
        ("many", "annotations"),
    ],
)
def test_invalid_annotations_are_refused_with_their_place(client: TestClient, annotations: object, named: str) -> None:
    response = annotate(client, annotations)
    problem = response.json()
    assert response.status_code == 422, problem
    assert named in problem["detail"]
    assert {"received", "fix"} <= set(problem)
    assert client.get("/edits").json() == []


@pytest.mark.parametrize(
    ("mask", "classes", "status", "named"),
    [
        (indexed(SAMPLE.labels[:-1]), None, 422, "different sizes"),
        (indexed(np.ascontiguousarray(SAMPLE.labels.T)), None, 422, "different sizes"),
        (IMAGE[:60], None, 422, "damaged"),
        (b"no image", None, 415, "not an image of a supported format"),
        (indexed(SAMPLE.labels)[:-40], None, 422, "damaged"),
        (encoded(SAMPLE.labels, "JPEG"), {"#070707": "brick"}, 422, "colours of the mask were altered"),
        (b"", {"300": "brick"}, 422, "No pixel"),
        (b"", {"red": "brick"}, 422, "colour"),
        (b"", {"17": "brick"}, 422, "No pixel"),
        (b"", {}, 422, "classes"),
        (b"", {"0": 7}, 422, "classes"),
        (b"", [1], 422, "classes"),
        (b"", {"0": {"class_id": 99}}, 404, "no class with this id"),
        (IMAGE, {"#12345": "brick"}, 422, "colour"),
    ],
    ids=lambda value: value[:6].hex() if isinstance(value, bytes) else str(value),
)
def test_an_invalid_mask_is_refused(client: TestClient, mask: bytes, classes: object, status: int, named: str) -> None:
    response = add(client, mask, classes)
    assert response.status_code == status, response.json()
    assert named in response.json()["detail"]
    assert "fix" in response.json()
    assert client.get("/edits").json() == []


def test_bodies_of_another_form_are_refused(client: TestClient) -> None:
    assert client.post("/exemplars", content=IMAGE, headers={"content-type": "image/png"}).status_code == 415
    assert client.post("/exemplars", content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert client.post("/exemplars", json={"image": "?", "annotations": [1]}).status_code == 422
    assert client.post("/exemplars", json={"annotations": [1]}).status_code == 422
    files = {"image": ("a.png", IMAGE, "image/png")}
    nothing = client.post("/exemplars", files=files)
    assert nothing.status_code == 422
    assert nothing.json()["received"] == ["image"]
    assert client.post("/exemplars", files=files | {"colour": b"1"}).json()["received"] == ["colour"]
    assert add(client, query="?segments=0").status_code == 422
    assert add(client, reason="x" * 1001).status_code == 422
    assert client.get("/edits").json() == []


def test_there_are_at_most_255_classes(client: TestClient) -> None:
    for n in range(252):
        client.post("/classes", json={"name": f"c{n}"}).raise_for_status()
    response = client.post("/classes", json={"name": "one more"})
    assert response.status_code == 409
    assert "255" in response.json()["allowed"]
    assert add(client, classes={"0": "another"}).status_code == 409
    colors = [c["color"] for c in client.get("/classes").json()]
    assert len(set(colors[:40])) == 40


def test_exemplars_are_listed_by_class_by_source_and_by_removal(client: TestClient) -> None:
    released = client.get("/exemplars?limit=1").json()["total"]
    shown = add(client, source="Yard/7").json()
    listed = client.get("/exemplars?limit=1000").json()
    assert listed["total"] == released + len(shown["exemplars"])
    newest = [e["exemplar_id"] for e in listed["exemplars"][: len(shown["exemplars"])]]
    assert sorted(newest) == sorted(e["exemplar_id"] for e in shown["exemplars"])
    lava = client.get("/exemplars?class_id=3").json()
    assert {e["class_name"] for e in lava["exemplars"]} == {"lava"}
    assert client.get("/exemplars?query=yard").json()["total"] == len(shown["exemplars"])
    page = client.get("/exemplars?limit=2&offset=1").json()["exemplars"]
    assert [e["exemplar_id"] for e in page] == [e["exemplar_id"] for e in listed["exemplars"][1:3]]
    client.post("/exemplars/remove", json={"exemplar_ids": newest[:2], "reason": "twice"}).raise_for_status()
    gone = client.get("/exemplars?removed=true").json()
    assert sorted(e["exemplar_id"] for e in gone["exemplars"]) == sorted(newest[:2])
    assert {e["removed_in"] for e in gone["exemplars"]} == {2}
    assert "mask" not in gone["exemplars"][0]
    partly = client.post("/exemplars/remove", json={"exemplar_ids": newest[1:3]}).json()
    assert (partly["edit"]["exemplar_ids"], partly["already"]) == ([newest[2]], 1)
