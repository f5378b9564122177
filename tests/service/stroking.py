"""What the tests of strokes share: an image, two strokes, and requests."""

import base64
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from segsort.masks import decode_rle, encode_rle
from tests.conftest import Blocks
from tests.service.conftest import encoded

SIZE = (72, 96)
SAMPLE = Blocks("val", count=9)[7]
IMAGE = encoded(SAMPLE.image)
LINE = {"class_name": "lava", "points": [[14, 12], [80, 12]], "width": 4}
DOT = {"class_name": "fog", "points": [[40.5, 40.5]], "width": 7}


def base64_of(image: bytes) -> str:
    return base64.b64encode(image).decode()


def mark(client: TestClient, strokes: object, status: int = 201, query: str = "", **more: object) -> Any:
    body = {"strokes": strokes} | ({} if "segmentation_id" in more else {"image": base64_of(IMAGE)}) | more
    response = client.post(f"/exemplars{query}", json=body)
    assert response.status_code == status, response.json()
    return response.json()


def answer_of(client: TestClient, image: bytes = IMAGE, query: str = "") -> dict[str, Any]:
    return client.post(f"/segment{query}", content=image).raise_for_status().json()


def mask_of(found: dict[str, Any]) -> np.ndarray:
    return decode_rle(found["mask"]["counts"], tuple(found["mask"]["size"]))


def exemplar_mask(client: TestClient, exemplar_id: str) -> np.ndarray:
    return mask_of(client.get(f"/exemplars/{exemplar_id}").json())


def class_map(answer: dict[str, Any]) -> np.ndarray:
    """[H, W] class id of each pixel; every pixel must belong to one segment."""
    found = np.full((answer["height"], answer["width"]), -1)
    for segment in answer["segments"]:
        inside = mask_of(segment)
        assert (found[inside] == -1).all()
        assert inside.sum() == segment["area"]
        found[inside] = segment["class_id"]
    assert (found >= 0).all()
    return found


def union(client: TestClient, exemplars: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.any([exemplar_mask(client, e["exemplar_id"]) for e in exemplars if e["class_name"] == name], axis=0)


def apply(client: TestClient, answer: dict[str, Any], status: int = 201, **marks: Any) -> dict[str, Any]:
    """What POST /segmentations/{segmentation_id}/marks answers."""
    response = client.post(f"/segmentations/{answer['segmentation_id']}/marks", json=marks)
    assert response.status_code == status, response.json()
    return response.json()


def preview(client: TestClient, answer: dict[str, Any], status: int = 200, query: str = "", **marks: Any) -> Any:
    """What POST /segmentations/{segmentation_id}/preview answers."""
    response = client.post(f"/segmentations/{answer['segmentation_id']}/preview{query}", json=marks)
    assert response.status_code == status, response.json()
    return response.json()


def relabelled(client: TestClient, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with the labels of now."""
    return client.post(f"/segmentations/{answer['segmentation_id']}/relabel").raise_for_status().json()


def names_of(answer: dict[str, Any]) -> list[str | None]:
    """The class name of each segment."""
    return [segment["class_name"] for segment in answer["segments"]]


def run_lengths(inside: np.ndarray) -> dict[str, Any]:
    """A mask [H, W] bool as in answers."""
    return {"size": list(inside.shape), "counts": encode_rle(np.where(inside, 0, -1).astype(np.int32), 1)[0]}
