"""Examples of whole answers for the OpenAPI document, by operation id.

They belong together: one image of 640x480 is segmented into two segments, and the first segment is explained.
"""

from typing import Any

_SEGMENTATION = "3f" * 16
_IMAGE_URL = f"/segmentations/{_SEGMENTATION}/image"
_ROAD = {"class_id": 0, "name": "road", "color": "#804080"}
_KERB = {"class_id": 1, "name": "kerb", "color": "#f423e8"}


def _exemplar(name: str, class_info: dict[str, Any], bbox: list[int]) -> dict[str, Any]:
    """An exemplar of a release, as it is in a list."""
    return {
        "exemplar_id": name * 8,
        "class_id": class_info["class_id"],
        "class_name": class_info["name"],
        "strength": 1.0,
        "source": "streets/train/000017",
        "bbox": bbox,
        "area": bbox[2] * bbox[3],
        "added_in": None,
        "removed_in": None,
        "author": None,
        "release": "general",
        "image_url": f"/exemplars/{name * 8}/image",
        "crop_url": f"/exemplars/{name * 8}/crop",
    }


_LEFT, _RIGHT = [100, 0, 200, 360], [300, 0, 180, 360]  # boxes in an exemplar's image of 480x360
_LEFT_MASK = {"mask": {"size": [360, 480], "counts": "PUS1PZV2PYo1"}}
_RIGHT_MASK = {"mask": {"size": [360, 480], "counts": "P_Y3PYo1"}}
_FIRST, _SECOND = _exemplar("e5", _ROAD, _LEFT), _exemplar("a1", _ROAD, _LEFT)
_THIRD, _FOURTH = _exemplar("b2", _KERB, _RIGHT), _exemplar("c3", _KERB, _RIGHT)
_EDIT = {
    "revision": 7,
    "kind": "label",
    "release": "general",
    "author": "anna",
    "reason": "kerb, not road",
    "created": "2026-05-04T09:30:00.000Z",
    "summary": "a segment is kerb",
    "exemplar_ids": ["d4" * 8],
    "classes": [],
    "reverted_by": None,
    "segment_id": f"{_SEGMENTATION}-1",
    "replaces": [],
}


def _voted(exemplar: dict[str, Any], similarity: float, weight: float) -> dict[str, Any]:
    """A voter in the list of a segment."""
    return {
        "exemplar_id": exemplar["exemplar_id"],
        "class_name": exemplar["class_name"],
        "similarity": similarity,
        "weight": weight,
    }


_ANSWER = {
    "segmentation_id": _SEGMENTATION,
    "width": 640,
    "height": 480,
    "release": "general",
    "index_revision": 6,
    "classes": [_ROAD, _KERB],
    "segments": [
        {
            "segment_id": f"{_SEGMENTATION}-0",
            "class_id": 0,
            "class_name": "road",
            "confidence": 0.856267,
            "known": True,
            "area": 153600,
            "bbox": [0, 0, 320, 480],
            "mask": {"size": [480, 640], "counts": "0PPf4PPf4"},
            "exemplars": [_voted(_FIRST, 0.96, 0.540539), _voted(_SECOND, 0.93, 0.296654)],
        },
        {
            "segment_id": f"{_SEGMENTATION}-1",
            "class_id": 0,
            "class_name": "road",
            "confidence": 0.61,
            "known": True,
            "area": 153600,
            "bbox": [320, 0, 320, 480],
            "mask": {"size": [480, 640], "counts": "PPf4PPf4"},
            "exemplars": [_voted(_FIRST, 0.94, 0.366025), _voted(_THIRD, 0.93, 0.299679)],
        },
    ],
    "image_id": "9a" * 32,
    "image_url": _IMAGE_URL,
}
_TIMINGS = {"decode": 3.1, "embed": 21.4, "sort": 8.9, "retrieve": 1.2, "total": 34.6}
_EXPLANATION = {
    "segment_id": f"{_SEGMENTATION}-0",
    "segmentation_id": _SEGMENTATION,
    "class_id": 0,
    "class_name": "road",
    "confidence": 0.856267,
    "share": 0.837193,
    "known": True,
    "familiarity": 0.955,
    "image_similarity": 0.95,
    "area": 153600,
    "bbox": [0, 0, 320, 480],
    "mask": {"size": [480, 640], "counts": "0PPf4PPf4"},
    "vote": {
        "k": 3,
        "kappa": 20.0,
        "classes": [
            {"class_id": 0, "class_name": "road", "weight": 0.837193, "color": "#804080"},
            {"class_id": 1, "class_name": "kerb", "weight": 0.162807, "color": "#f423e8"},
        ],
    },
    "exemplars": [
        _FIRST | _LEFT_MASK | {"similarity": 0.96, "weight": 0.540539},
        _SECOND | _LEFT_MASK | {"similarity": 0.93, "weight": 0.296654},
        _THIRD | _RIGHT_MASK | {"similarity": 0.90, "weight": 0.162807},
    ],
    "reserve": [_FOURTH | _RIGHT_MASK | {"similarity": 0.88}],
    "runner_up": {
        "class_id": 1,
        "class_name": "kerb",
        "weight": 0.162807,
        "exemplars": [_THIRD | _RIGHT_MASK | {"similarity": 0.90}, _FOURTH | _RIGHT_MASK | {"similarity": 0.88}],
    },
    "margin": 0.674386,
    "flip_set": [_FIRST["exemplar_id"], _SECOND["exemplar_id"]],
    "boundary": {
        "distance_px": 3,
        "share": 0.009375,
        "neighbours": [{"segment_id": f"{_SEGMENTATION}-1", "class_name": "road", "share": 0.009375}],
    },
    "similar": [
        {
            "segment_id": f"{'4c' * 16}-2",
            "class_name": "road",
            "confidence": 0.9,
            "similarity": 0.97,
            "image_url": f"/segmentations/{'4c' * 16}/image",
            "crop_url": f"/segments/{'4c' * 16}-2/crop",
        }
    ],
    "corrections": [],
    "calibration": {
        "confidence_x": [0.0, 0.5, 1.0],
        "confidence_y": [0.1, 0.6, 0.98],
        "known_threshold": 0.62,
        "how": "isotonic regression on 200 held-out images",
        "calibrated": True,
    },
    "release": "general",
    "index_revision": 6,
    "label_url": f"/segments/{_SEGMENTATION}-0/label",
    "image_url": _IMAGE_URL,
    "crop_url": f"/segments/{_SEGMENTATION}-0/crop",
}
ANSWERS: dict[str, Any] = {
    "segment": _ANSWER | {"timings_ms": _TIMINGS},
    "get_segmentation": _ANSWER,
    "explain": _EXPLANATION,
    "list_exemplars": {"total": 412, "exemplars": [_FIRST, _THIRD]},
    "get_exemplar": _FIRST | _LEFT_MASK,
    "list_edits": [_EDIT],
    "get_edit": _EDIT,
    "list_classes": [
        _ROAD | {"exemplars": 230, "origin": "release"},
        _KERB | {"exemplars": 182, "origin": "release"},
    ],
    "get_caller": {"name": "anna", "role": "curator", "keys": True},
    "get_liveness": {"status": "ok"},
    "get_readiness": {
        "status": "ready",
        "release": "general",
        "device": "cpu",
        "runs_on": "CPUExecutionProvider",
        "network_bits": 32,
        "steps_run_on": {"network": "cpu", "sorting": "cpu", "search": "cpu", "name": "cpu"},
        "exemplars": 412,
        "index_revision": 7,
    },
}
"""The JSON of the answer 200, by operation id."""

PROBLEM: dict[str, Any] = {
    "type": "about:blank",
    "title": "Not Found",
    "status": 404,
    "detail": "There is no such segment.",
    "received": "3f-0",
    "allowed": "the segment_id of a segment of an answer",
    "fix": "Segment the image again, and use the segment ids of the new answer.",
    "request_id": "7b" * 16,
}
"""The problem JSON of a refused request."""
