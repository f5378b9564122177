"""Examples of answers of /segments, /edits and /classes."""

from typing import Any

from service.http.examples.scene import (
    ANSWER,
    BUILDING,
    CORRECTED,
    CORRECTION,
    IMAGE,
    LAMP_POST_MASK,
    LISTED_SECOND,
    LISTED_THIRD,
    POLE,
    POLE_EXEMPLAR,
    STREETS,
)

_LABELLED: dict[str, Any] = {
    "revision": 1,
    "kind": "label",
    "release": "streets",
    "release_digest": STREETS,
    "author": "anna",
    "reason": "a lamp post, not a building",
    "created": "2026-11-29T18:59:18.194Z",
    "summary": "corrected a segment to pole",
    "exemplar_ids": [CORRECTION],
    "classes": [],
    "reverted_by": None,
    "scope": "all",
    "segment_id": f"{ANSWER}-15",
    "replaces": [],
}
_CORRECTION: dict[str, Any] = {
    "exemplar_id": CORRECTION,
    "class_id": 2,
    "class_name": "pole",
    "strength": 3.0,
    "scope": "all",
    "source": f"correction of segment {ANSWER}-15",
    "bbox": [179, 45, 241, 166],
    "area": 459,
    "mask": LAMP_POST_MASK,
    "added_in": 1,
    "removed_in": None,
    "author": "anna",
    "release": "streets",
    "image_url": f"/exemplars/{CORRECTION}/image",
    "crop_url": f"/exemplars/{CORRECTION}/crop",
}
_KERB: dict[str, Any] = {"class_id": 12, "name": "kerb", "color": "#f423e8"}
_REVERT: dict[str, Any] = {
    "revision": 7,
    "kind": "revert",
    "release": "streets",
    "release_digest": STREETS,
    "author": "anna",
    "reason": None,
    "created": "2026-11-29T18:59:18.716Z",
    "summary": "reverted edit 6: removed 2 exemplars of building",
    "exemplar_ids": [],
    "classes": [],
    "reverted_by": None,
    "reverts": 6,
}

ANSWERS: dict[tuple[str, int], Any] = {
    ("label_segment", 201): {
        "index_revision": 1,
        "edit": _LABELLED,
        "exemplar": _CORRECTION,
        "strength": 3.0,
        "relabelled": {
            "segmentation_id": CORRECTED,
            "width": 480,
            "height": 360,
            "release": "streets",
            "release_digest": STREETS,
            "index_revision": 1,
            "classes": [BUILDING, POLE],
            "segments": [
                {
                    "segment_id": f"{CORRECTED}-15",
                    "class_id": 2,
                    "class_name": "pole",
                    "confidence": 0.70155,
                    "known": True,
                    "share": 0.892453,
                    "margin": 0.784906,
                    "area": 459,
                    "bbox": [179, 45, 241, 166],
                    "mask": LAMP_POST_MASK,
                    "exemplars": [
                        {"exemplar_id": CORRECTION, "class_name": "pole", "similarity": 1.0, "weight": 0.748908},
                        {
                            "exemplar_id": POLE_EXEMPLAR,
                            "class_name": "pole",
                            "similarity": 0.944664,
                            "weight": 0.143545,
                        },
                    ],
                }
            ],
            "image_id": IMAGE,
            "image_url": f"/segmentations/{CORRECTED}/image",
            "conversion": None,
            "page": 0,
            "pages": 1,
            "relabelled_from": ANSWER,
            "changed": [
                {
                    "segment_id": f"{CORRECTED}-15",
                    "before_segment_id": f"{ANSWER}-15",
                    "before": "building",
                    "after": "pole",
                }
            ],
            "timings_ms": {"retrieve": 13.685, "total": 13.685},
        },
        "classes": [],
    },
    ("label_segment", 200): {
        "index_revision": 1,
        "edit": None,
        "exemplar": _CORRECTION,
        "strength": 3.0,
        "relabelled": None,
        "classes": [],
    },
    ("list_edits", 200): [
        _REVERT,
        {
            "revision": 6,
            "kind": "remove",
            "release": "streets",
            "release_digest": STREETS,
            "author": "anna",
            "reason": None,
            "created": "2026-11-29T18:59:18.708Z",
            "summary": "removed 2 exemplars of building",
            "exemplar_ids": [LISTED_SECOND, LISTED_THIRD],
            "classes": [],
            "reverted_by": 7,
        },
    ],
    ("get_edit", 200): _LABELLED,
    ("get_edit_effect", 200): {
        "segments": [
            {
                "segment_id": f"{ANSWER}-15",
                "before": "building",
                "after": "pole",
                "known": True,
                "image_id": IMAGE,
                "image_url": f"/segmentations/{ANSWER}/image",
                "crop_url": f"/segments/{ANSWER}-15/crop",
            }
        ],
        "answers": 5,
    },
    ("revert_edit", 201): {"index_revision": 7, "edit": _REVERT},
    ("list_classes", 200): [
        {
            "class_id": 1,
            "name": "building",
            "color": "#800000",
            "exemplars": 1154,
            "for_one_image": 0,
            "origin": "release",
        },
        {"class_id": 2, "name": "pole", "color": "#c0c080", "exemplars": 346, "for_one_image": 0, "origin": "release"},
        {
            "class_id": 11,
            "name": "lane marking",
            "color": "#ffffff",
            "exemplars": 5,
            "for_one_image": 0,
            "origin": "edit",
        },
    ],
    ("save_class", 201): {
        "index_revision": 4,
        "edit": {
            "revision": 4,
            "kind": "class",
            "release": "streets",
            "release_digest": STREETS,
            "author": "anna",
            "reason": None,
            "created": "2026-11-29T18:59:18.691Z",
            "summary": "made class kerb",
            "exemplar_ids": [],
            "classes": [_KERB],
            "reverted_by": None,
        },
        "class": _KERB,
    },
    ("save_class", 200): {
        "index_revision": 4,
        "edit": None,
        "class": {"class_id": 3, "name": "road", "color": "#804080"},
    },
}
