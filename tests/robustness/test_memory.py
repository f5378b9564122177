"""Small requests that would need much memory are refused before they are drawn."""

import json

from fastapi.testclient import TestClient


def test_outlines_that_would_take_all_memory_are_refused(client: TestClient, photo: bytes) -> None:
    zigzag = [0, 0, 96, 72] * 30_000  # 400 kB that cover 5.8 million pixels
    for polygons in ([zigzag], [zigzag[:60_000], zigzag[60_000:]]):
        annotations = json.dumps([{"class_name": "kerb", "polygons": [polygon]} for polygon in polygons])
        answer = client.post("/exemplars", files={"image": photo}, data={"annotations": annotations})
        assert (answer.status_code, answer.json()["received"]) == (422, "5760000 pixels in total")


def test_a_mask_with_more_values_than_there_may_be_classes_is_refused(client: TestClient, photo: bytes) -> None:
    classes = json.dumps({f"#{color:06x}": "kerb" for color in range(1001)})
    answer = client.post("/exemplars", files={"image": photo, "mask": photo}, data={"classes": classes})
    assert answer.status_code == 422
    assert "at most 1000" in answer.json()["detail"]
