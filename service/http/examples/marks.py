"""Examples of answers about marks."""

from typing import Any

from service.http.examples.exemplars import ANSWERS as OF_EXEMPLARS
from service.http.examples.scene import ANSWER, EARLIER, STREETS

_ADDED = OF_EXEMPLARS["add_exemplars", 201]
_RELABELLED = _ADDED["relabelled"]
_EXEMPLAR: dict[str, Any] = {
    "exemplar_id": "15" * 8,
    "class_id": 2,
    "class_name": "pole",
    "area": 459,
    "bbox": [179, 45, 241, 166],
    "strength": 3.0,
    "scope": "image",
    "wins": True,
    "added": True,
}
_EDIT: dict[str, Any] = {
    "revision": 10,
    "kind": "mark",
    "release": "streets",
    "release_digest": STREETS,
    "author": "anna",
    "reason": None,
    "created": "2026-11-29T18:59:19.102Z",
    "summary": "marked a part of pole, for one image only",
    "exemplar_ids": ["15" * 8],
    "classes": [],
    "reverted_by": None,
    "scope": "image",
    "segment_ids": [f"{ANSWER}-15"],
}
_NOTHING: dict[str, Any] = {
    "index_revision": 10,
    "edit": None,
    "exemplars": [_EXEMPLAR | {"added": False}],
    "classes": [],
}

ANSWERS: dict[tuple[str, int], Any] = {
    ("mark_segmentation", 201): {
        "index_revision": 2,
        "edit": _ADDED["edit"] | {"kind": "mark", "summary": "marked 10 parts: 5 of lane marking, 5 of road"},
        "exemplars": _ADDED["exemplars"],
        "classes": _ADDED["classes"],
        "relabelled": _RELABELLED,
    },
    ("mark_segmentation", 200): _NOTHING | {"relabelled": None},
    ("preview_marks", 200): {
        "relabelled": _RELABELLED
        | {"segmentation_id": "7c" * 16, "index_revision": 1, "image_url": f"/segmentations/{ANSWER}/image"},
        "elsewhere": [
            {
                "segmentation_id": EARLIER,
                "image_url": f"/segmentations/{EARLIER}/image",
                "width": 480,
                "height": 360,
                "segments": 84,
                "changed": [
                    {"segment_id": f"{EARLIER}-61", "before": "road", "after": "lane marking", "area": 402},
                ],
            }
        ],
    },
    ("label_segments", 201): {
        "index_revision": 10,
        "edit": _EDIT,
        "exemplars": [_EXEMPLAR],
        "classes": [],
    },
    ("label_segments", 200): _NOTHING,
}
