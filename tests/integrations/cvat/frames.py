"""Frames of a task of CVAT: their images, the masks that CVAT holds, and those of the service."""

import io
from typing import Any

import numpy as np
from cvat_sdk.masks import decode_mask
from PIL import Image

from segsort_client import Client
from tests.integrations.cvat.server import CvatServer


def frame(server: CvatServer, number: int) -> Image.Image:
    return Image.open(io.BytesIO(list(server.images.values())[number]))


def masks(server: CvatServer, shapes: list[dict[str, Any]], number: int) -> list[tuple[str, np.ndarray]]:
    """Label and mask of the shapes of a frame."""
    width, height = server.sizes[number]
    names = {one["id"]: one["name"] for one in server.labels}
    return [
        (names[one["label_id"]], decode_mask(one["points"], image_width=width, image_height=height))
        for one in shapes
        if one["frame"] == number
    ]


def expected(client: Client, server: CvatServer, number: int, unknown: bool) -> list[tuple[str, np.ndarray]]:
    """Class and mask of the segments of a frame, by the service."""
    answer = client.segment(frame(server, number))
    return [(str(one.class_name), one.mask) for one in answer if one.class_id is not None and (one.known or unknown)]


def assert_equal(found: list[tuple[str, np.ndarray]], wanted: list[tuple[str, np.ndarray]]) -> None:
    assert [name for name, _ in found] == [name for name, _ in wanted]
    for (_, one), (_, other) in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)
