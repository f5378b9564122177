"""An interactor for CVAT's serverless functions (nuclio): clicks choose whole segments of the segsort service."""

import base64
import hashlib
import json
import os
from typing import Any

import numpy as np

from segsort_client import Client

MOST_IMAGES = 8  # whose segments are kept for further clicks


def init_context(context: Any) -> None:
    """Connect to the service. nuclio calls this once in each worker."""
    context.user_data.client = Client(os.environ["SEGSORT_ADDRESS"], os.environ.get("SEGSORT_KEY") or None)
    context.user_data.segments = {}


def handler(context: Any, event: Any) -> Any:
    """The mask of the segments that the points choose. CVAT sends the image with each click."""
    data = event.body
    segments = segments_of(context.user_data, base64.b64decode(data["image"]))
    mask = np.isin(segments, numbers(segments, data["pos_points"])) & ~np.isin(
        segments, numbers(segments, data["neg_points"])
    )
    body = json.dumps({"mask": (mask * np.uint8(255)).tolist()})
    return context.Response(body=body, headers={}, content_type="application/json", status_code=200)


def segments_of(kept: Any, image: bytes) -> np.ndarray:
    """[H, W], number of the segment of each pixel; an image that was sent before is not segmented again."""
    name = hashlib.sha256(image).hexdigest()
    if name not in kept.segments:
        while len(kept.segments) >= MOST_IMAGES:
            del kept.segments[next(iter(kept.segments))]
        kept.segments[name] = kept.client.segment(image, exemplars=1).to_label_map("segment")
    return kept.segments[name]


def numbers(segments: np.ndarray, points: Any) -> list[int]:
    """The segments at points (x, y)."""
    height, width = segments.shape
    return [int(segments[min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)]) for x, y in points]
