"""Examples of answers to images: of /segment and /segmentations."""

from typing import Any

from service.http.examples.scene import (
    ANSWER,
    BUILDING,
    BUILDING_EXEMPLAR,
    CORRECTION,
    EARLIER,
    EARLIER_IMAGE,
    IMAGE,
    LAMP_POST_MASK,
    POLE,
    POLE_EXEMPLAR,
    RELABELLED,
)

_LAMP_POST: dict[str, Any] = {
    "segment_id": f"{ANSWER}-15",
    "class_id": 1,
    "class_name": "building",
    "confidence": 0.54505,
    "known": True,
    "area": 459,
    "bbox": [179, 45, 241, 166],
    "mask": LAMP_POST_MASK,
    "exemplars": [
        {"exemplar_id": POLE_EXEMPLAR, "class_name": "pole", "similarity": 0.944664, "weight": 0.417857},
        {"exemplar_id": BUILDING_EXEMPLAR, "class_name": "building", "similarity": 0.915793, "weight": 0.313069},
    ],
}
_POLE: dict[str, Any] = {
    "segment_id": f"{ANSWER}-47",
    "class_id": 2,
    "class_name": "pole",
    "confidence": 0.983709,
    "known": True,
    "area": 843,
    "bbox": [180, 0, 240, 259],
    "mask": {
        "size": [360, 480],
        "counts": "gZo13i:O_E3^:1`E3e4KAk6MT1lNoGPNj6m3UI@d0_KB`0NW90[1Oai_2NQU`MOiG8c7c0oG_OT8H`H:RVe0",
    },
    "exemplars": [
        {"exemplar_id": "10" * 8, "class_name": "pole", "similarity": 0.996761, "weight": 0.338968},
        {"exemplar_id": "11" * 8, "class_name": "pole", "similarity": 0.994406, "weight": 0.331078},
    ],
}

ANSWERS: dict[tuple[str, int], Any] = {
    ("segment", 200): {
        "segmentation_id": ANSWER,
        "width": 480,
        "height": 360,
        "release": "streets",
        "index_revision": 0,
        "classes": [BUILDING, POLE],
        "segments": [_LAMP_POST, _POLE],
        "image_id": IMAGE,
        "image_url": f"/segmentations/{ANSWER}/image",
        "conversion": None,
        "timings_ms": {"decode": 8.067, "embed": 90.477, "sort": 9.454, "retrieve": 1.657, "total": 111.473},
    },
    ("list_segmentations", 200): [
        {
            "segmentation_id": ANSWER,
            "created": "2026-11-29T18:59:18.110Z",
            "width": 480,
            "height": 360,
            "release": "streets",
            "index_revision": 0,
            "segments": 98,
            "image_id": IMAGE,
            "image_url": f"/segmentations/{ANSWER}/image",
        },
        {
            "segmentation_id": EARLIER,
            "created": "2026-11-29T18:59:17.995Z",
            "width": 480,
            "height": 360,
            "release": "streets",
            "index_revision": 0,
            "segments": 97,
            "image_id": EARLIER_IMAGE,
            "image_url": f"/segmentations/{EARLIER}/image",
        },
    ],
    ("get_segmentation", 200): {
        "segmentation_id": ANSWER,
        "width": 480,
        "height": 360,
        "release": "streets",
        "index_revision": 0,
        "classes": [BUILDING, POLE],
        "segments": [_LAMP_POST, _POLE],
        "image_id": IMAGE,
        "image_url": f"/segmentations/{ANSWER}/image",
        "conversion": None,
    },
    ("relabel_segmentation", 200): {
        "segmentation_id": RELABELLED,
        "width": 480,
        "height": 360,
        "release": "streets",
        "index_revision": 1,
        "classes": [BUILDING, POLE],
        "segments": [
            {
                "segment_id": f"{RELABELLED}-15",
                "class_id": 2,
                "class_name": "pole",
                "confidence": 0.70155,
                "known": True,
                "area": 459,
                "bbox": [179, 45, 241, 166],
                "mask": LAMP_POST_MASK,
                "exemplars": [
                    {"exemplar_id": CORRECTION, "class_name": "pole", "similarity": 1.0, "weight": 0.748908},
                    {"exemplar_id": POLE_EXEMPLAR, "class_name": "pole", "similarity": 0.944664, "weight": 0.143545},
                ],
            }
        ],
        "image_id": IMAGE,
        "image_url": f"/segmentations/{RELABELLED}/image",
        "conversion": None,
        "relabelled_from": ANSWER,
        "changed": [
            {
                "segment_id": f"{RELABELLED}-15",
                "before_segment_id": f"{ANSWER}-15",
                "before": "building",
                "after": "pole",
            }
        ],
        "timings_ms": {"retrieve": 6.267, "total": 6.267},
    },
}
