import base64
import io
from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from segsort.masks import decode_rle
from tests.conftest import BLOCK_CLASSES, Blocks
from tests.service.conftest import encoded


def masks_of(answer: dict) -> list[np.ndarray]:
    return [decode_rle(s["mask"]["counts"], tuple(s["mask"]["size"])) for s in answer["segments"]]


def test_segments_tile_the_image_and_each_has_a_label_and_exemplars(client: TestClient, photo: bytes) -> None:
    answer = client.post("/segment", content=photo, headers={"content-type": "image/png"}).raise_for_status().json()
    assert (answer["width"], answer["height"]) == (96, 72)
    masks = masks_of(answer)
    assert (np.sum(masks, axis=0) == 1).all()
    assert [int(m.sum()) for m in masks] == [s["area"] for s in answer["segments"]]
    names = {info.name for info in BLOCK_CLASSES}
    for segment, mask in zip(answer["segments"], masks, strict=True):
        rows, columns = np.nonzero(mask)
        x, y, width, height = segment["bbox"]
        assert (x, y, x + width, y + height) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert segment["class_name"] in names
        assert 0 <= segment["confidence"] <= 1
        assert len(segment["exemplars"]) == 5
    assert set(answer["timings_ms"]) == {"decode", "embed", "sort", "retrieve", "total"}


def test_the_labels_are_those_of_the_blocks(client: TestClient, photo: bytes) -> None:
    answer = client.post("/segment", content=photo).json()
    sample = Blocks("val")[0]
    predicted = np.zeros(sample.labels.shape, dtype=np.int64)
    for segment, mask in zip(answer["segments"], masks_of(answer), strict=True):
        predicted[mask] = segment["class_id"]
    known = sample.labels != 255
    assert (predicted == sample.labels)[known].mean() > 0.95


def test_a_multipart_field_and_a_raw_body_give_the_same_answer(client: TestClient, photo: bytes) -> None:
    raw = client.post("/segment", content=photo).json()
    form = client.post("/segment", files={"image": ("photo.png", photo, "image/png")}).json()
    assert [s["mask"] for s in raw["segments"]] == [s["mask"] for s in form["segments"]]
    assert raw["segmentation_id"] != form["segmentation_id"]


def test_accept_png_gives_the_label_map(client: TestClient, photo: bytes) -> None:
    response = client.post("/segment", content=photo, headers={"accept": "image/png"})
    assert response.headers["content-type"] == "image/png"
    label_map = Image.open(io.BytesIO(response.content))
    answer = client.post("/segment", content=photo).json()
    expected = np.zeros((72, 96), dtype=np.uint8)
    for segment, mask in zip(answer["segments"], masks_of(answer), strict=True):
        expected[mask] = segment["class_id"]
    assert label_map.mode == "P"
    assert (np.asarray(label_map) == expected).all()
    assert tuple(label_map.getpalette()[:3]) == BLOCK_CLASSES[0].color


def test_polygons_enclose_the_area_of_the_mask(client: TestClient, photo: bytes) -> None:
    answer = client.post("/segment?masks=polygon", content=photo).json()
    for segment in answer["segments"]:
        rings = [np.array(ring) for ring in segment["mask"]["polygons"]]
        area = abs(sum(_signed_area(ring) for ring in rings))
        corners = sum(len(ring) for ring in rings)
        assert abs(area - segment["area"]) <= 0.5 * corners + 1  # contours cut the corners of pixels


def _signed_area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(0.5 * (x[:-1] * y[1:] - x[1:] * y[:-1]).sum())


def test_masks_and_exemplars_can_be_left_out(client: TestClient, photo: bytes) -> None:
    answer = client.post("/segment?masks=none&exemplars=2&k=3&segments=4", content=photo).json()
    assert all("mask" not in s and len(s["exemplars"]) == 2 for s in answer["segments"])
    vote = client.get(f"/explain/{answer['segments'][0]['segment_id']}").json()["vote"]
    assert vote["k"] == 3


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3), (31, 33), (500, 17), (700, 900)])
def test_every_image_size_is_answered_in_its_own_pixels(client: TestClient, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    answer = client.post("/segment", content=encoded(image)).raise_for_status().json()
    assert (answer["height"], answer["width"]) == size
    assert sum(s["area"] for s in answer["segments"]) == size[0] * size[1]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("k=0", "k"),
        ("k=100000", "k"),
        ("segments=0", "segments"),
        ("exemplars=-1", "exemplars"),
        ("masks=svg", "masks"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(client: TestClient, photo: bytes, query: str, named: str) -> None:
    response = client.post(f"/segment?{query}", content=photo)
    problem = response.json()
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert named in problem["detail"]
    assert "received" in problem
    assert "fix" in problem


def test_a_body_past_the_limit_is_refused_before_it_is_decoded(start: Callable[..., TestClient], photo: bytes) -> None:
    with start(max_bytes=len(photo) - 1) as client:
        response = client.post("/segment", content=photo)
    assert response.status_code == 413
    assert str(len(photo) - 1) in response.json()["allowed"]


def test_an_image_of_too_many_pixels_is_refused(start: Callable[..., TestClient], photo: bytes) -> None:
    with start(max_pixels=96 * 72 - 1) as client:
        response = client.post("/segment", content=photo)
    assert response.status_code == 413
    assert "96x72" in response.json()["received"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"hello, I am no image", 415),
        (b"%PDF-1.7", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
    ],
)
def test_a_file_that_is_not_an_image_is_refused(client: TestClient, content: bytes, status: int) -> None:
    response = client.post("/segment", content=content)
    assert response.status_code == status
    assert {"detail", "received", "allowed", "fix"} <= set(response.json())


def test_a_form_without_the_field_says_which_fields_it_has(client: TestClient, photo: bytes) -> None:
    response = client.post("/segment", files={"photograph": ("photo.png", photo, "image/png")})
    assert response.status_code == 422
    assert response.json()["received"] == ["photograph"]
    text = client.post("/segment", data={"image": "not a file"}, files={"x": b"1"})
    assert text.status_code == 415


def test_a_part_of_a_form_without_a_file_name_is_a_file(client: TestClient, photo: bytes) -> None:
    """Also in bytes that are not text: some clients leave the file name out."""
    for boundary, disposition in (("b", 'form-data; name="image"'), ('"a b"', "form-data; name=image")):
        plain = boundary.strip('"')
        body = (
            f"--{plain}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
            + photo
            + f"\r\n--{plain}--\r\n".encode()
        )
        kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
        answer = client.post("/segment", content=body, headers=kind).raise_for_status().json()
        assert client.get(answer["image_url"]).content == photo


def test_an_image_may_be_json_in_base64_or_a_data_url(client: TestClient, photo: bytes) -> None:
    plain = base64.b64encode(photo).decode()
    lines = base64.encodebytes(photo).decode()
    assert "\n" in lines
    for text in (plain, lines, lines.replace("\n", "\r\n"), f"data:image/png;base64,{plain}",
                 f"data:image/png;name=a.png;base64,{lines}", "data:;base64," + plain.replace("+", "%2B"),
                 f"DATA:image/png;BASE64,{plain}"):  # fmt: skip
        answer = client.post("/segment?masks=none", json={"image": text}).raise_for_status().json()
        assert client.get(answer["image_url"]).content == photo
    png = client.post("/segment", json={"image": plain}, headers={"accept": "image/png"})
    assert png.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b"{}", 422, "image: "),
        (b'{"image": 1}', 422, "image: "),
        (b'["a"]', 422, "the body: "),
        (b'{"image": "aGk=", "k": 3}', 422, "k: "),
        (b'{"image": "not base64"}', 422, "not base64"),
        (b'{"image": "aGk"}', 422, "not base64"),
        (b'{"image": "data:image/png,abc"}', 422, "data: URL that is not base64"),
        (b'{"image": "data:image/png;base64"}', 422, "data: URL that is not base64"),
        (b'{"image": "\\ud800"}', 400, "not JSON"),
        (b'{"image": "aGk="}', 415, "not an image"),
        (b'{"image": ""}', 400, "There is no image"),
    ],
)
def test_json_without_an_image_is_refused(client: TestClient, body: bytes, status: int, words: str) -> None:
    refused = client.post("/segment", content=body, headers={"content-type": "application/json; charset=utf-8"})
    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
    assert words in refused.json()["detail"]


def test_an_image_file_is_read_whatever_its_content_type(client: TestClient, photo: bytes) -> None:
    assert client.post("/segment", content=photo, headers={"content-type": "application/json"}).status_code == 200


def test_an_incomplete_form_is_refused(client: TestClient) -> None:
    response = client.post("/segment", content=b"--x\r\nnonsense", headers={"content-type": "multipart/form-data"})
    assert response.status_code == 400


def test_another_path_or_method_is_answered_as_a_problem(client: TestClient) -> None:
    assert client.get("/nothing").json()["status"] == 404
    response = client.get("/segment")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


def test_classes_probes_document_and_pages_are_served(client: TestClient) -> None:
    assert [c["name"] for c in client.get("/classes").json()] == [info.name for info in BLOCK_CLASSES]
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["release"], ready["device"]) == ("ready", "tiny", "cpu")
    assert client.get("/livez").status_code == 200
    assert "/segment" in client.get("/openapi.json").json()["paths"]
    assert client.get("/docs").status_code == 200
    assert "<html" in client.get("/").text


def test_metrics_count_the_answers(client: TestClient, photo: bytes) -> None:
    client.post("/segment", content=photo)
    assert 'segsort_stage_seconds_count{stage="total"} 1.0' in client.get("/metrics").text


def test_what_was_done_to_the_values_of_an_image_is_stated_and_recorded(client: TestClient, photo: bytes) -> None:
    assert client.post("/segment", content=photo).json()["conversion"] is None
    deep = encoded((np.arange(72 * 96).reshape(72, 96) % 4096).astype(np.uint16), "PNG")
    answer = client.post("/segment", content=deep).raise_for_status().json()
    assert answer["conversion"] == "whole numbers up to 4095: as 12 bits, 0..255"
    path = f"/segmentations/{answer['segmentation_id']}"
    assert client.get(path).json()["conversion"] == answer["conversion"]
    again = client.post(f"{path}/relabel").json()
    for read in (again, client.get(f"/segmentations/{again['segmentation_id']}").json()):
        assert read["conversion"] == answer["conversion"]
