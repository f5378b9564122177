"""A detector for CVAT's serverless functions (nuclio): segments of the segsort service as masks with outlines."""

import base64
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from segsort_client import Client, Segment


def init_context(context: Any) -> None:
    """Connect to the service. nuclio calls this once in each worker."""
    context.user_data.client = Client(os.environ["SEGSORT_ADDRESS"], os.environ.get("SEGSORT_KEY") or None)
    context.user_data.unknown = os.environ.get("SEGSORT_UNKNOWN", "").lower() in ("1", "true", "yes")


def handler(context: Any, event: Any) -> Any:
    """Annotate an image. CVAT sends it as base64, with a threshold or without one."""
    image = base64.b64decode(event.body["image"])
    threshold = float(event.body.get("threshold") or 0)
    client: Client = context.user_data.client
    answer = client.segment(image, exemplars=1)
    outlines = client.segmentation(answer.segmentation_id, exemplars=1, masks="polygon")
    found = [
        shape
        for segment, outlined in zip(answer, outlines, strict=True)
        if is_wanted(segment, threshold, context.user_data.unknown)
        for shape in shapes(segment, outlined)
    ]
    return context.Response(body=json.dumps(found), headers={}, content_type="application/json", status_code=200)


def is_wanted(segment: Segment, threshold: float, unknown: bool) -> bool:
    """Whether a segment is sent: it has a class, resembles exemplars, and passes the threshold."""
    if segment.class_id is None or not (segment.known or unknown):
        return False
    return segment.confidence is None or segment.confidence >= threshold


def shapes(segment: Segment, outlined: Segment) -> Iterator[dict[str, Any]]:
    """A segment as CVAT expects it from a serverless detector: pixels of the box, row by row, then the box.

    outlined: the segment with outlines, of which CVAT takes one where it wants polygons: the longest.
    """
    left, top, width, height = segment.bbox
    pixels = segment.mask[top : top + height, left : left + width].astype(np.uint8).ravel().tolist()
    yield {
        "confidence": str(1.0 if segment.confidence is None else segment.confidence),
        "label": segment.class_name,
        "type": "mask",
        "mask": [*pixels, left, top, left + width - 1, top + height - 1],
        "points": [coordinate for point in max(outlined.shape.polygons, key=len) for coordinate in point],
    }
