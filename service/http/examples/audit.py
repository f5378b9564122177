"""Examples of answers of the audit of exemplars, and of the edits that follow from it."""

from typing import Any

from service.http.examples.scene import ANSWER, IMAGE, LISTED_SECOND, LISTED_THIRD, STREETS

_POLE = "f1" * 8
_BUILDINGS = ("f2" * 8, "f3" * 8)
_NOW_BUILDING = "f4" * 8


def _exemplar(
    exemplar_id: str, class_id: int, class_name: str, image: int, bbox: list[int], area: int
) -> dict[str, Any]:
    return {
        "exemplar_id": exemplar_id,
        "class_id": class_id,
        "class_name": class_name,
        "strength": 1.0,
        "scope": "all",
        "source": f"streets/train/{image:06d}",
        "bbox": bbox,
        "area": area,
        "added_in": None,
        "removed_in": None,
        "author": None,
        "release": "streets",
        "image_url": f"/exemplars/{exemplar_id}/image",
        "crop_url": f"/exemplars/{exemplar_id}/crop",
    }


_CONTRADICTED = _exemplar(_POLE, 2, "pole", 495, [382, 110, 14, 12], 22)
_EDIT: dict[str, Any] = {
    "revision": 8,
    "kind": "add",
    "release": "streets",
    "release_digest": STREETS,
    "author": "anna",
    "reason": "a wall, not a pole",
    "created": "2026-11-29T23:38:34.094Z",
    "summary": "relabelled an exemplar of pole to building",
    "exemplar_ids": [_NOW_BUILDING],
    "classes": [],
    "reverted_by": None,
    "replaces": [_POLE],
    "scope": "all",
}

ANSWERS: dict[tuple[str, int], Any] = {
    ("audit_exemplars", 200): {
        "kind": "contradicted",
        "index_revision": 7,
        "compared": 6000,
        "across_images": True,
        "total": 97,
        "entries": [
            {
                "exemplar": _CONTRADICTED,
                "class_id": 2,
                "class_name": "pole",
                "score": 0.80590491,
                "reason": "Labelled pole, but all of its 20 nearest exemplars in other images are building. Without "
                "its own vote it would be building.",
                "suggested_class_id": 1,
                "suggested_class_name": "building",
                "margin": 1.0,
                "conflict": None,
                "neighbours": [
                    {
                        "exemplar": _exemplar(_BUILDINGS[0], 1, "building", 46, [106, 33, 124, 142], 3057),
                        "similarity": 0.982293904,
                    },
                    {
                        "exemplar": _exemplar(_BUILDINGS[1], 1, "building", 295, [229, 58, 251, 125], 2347),
                        "similarity": 0.982112944,
                    },
                ],
                "corrected": [],
                "exemplars": None,
                "images": None,
            }
        ],
    },
    ("relabel_exemplars", 201): {
        "index_revision": 8,
        "edit": _EDIT,
        "exemplars": [
            _CONTRADICTED
            | {
                "exemplar_id": _NOW_BUILDING,
                "class_id": 1,
                "class_name": "building",
                "added_in": 8,
                "author": "anna",
                "image_url": f"/exemplars/{_NOW_BUILDING}/image",
                "crop_url": f"/exemplars/{_NOW_BUILDING}/crop",
            }
        ],
        "classes": [],
    },
    ("relabel_exemplars", 200): {"index_revision": 8, "edit": None, "exemplars": [], "classes": []},
    ("preview_exemplars", 200): {
        "index_revision": 7,
        "answers": 5,
        "compared": 412,
        "changed": [
            {
                "segment_id": f"{ANSWER}-15",
                "before": "pole",
                "after": "building",
                "known": True,
                "image_id": IMAGE,
                "image_url": f"/segmentations/{ANSWER}/image",
                "crop_url": f"/segments/{ANSWER}-15/crop",
            }
        ],
    },
}
BODIES: dict[str, dict[str, Any]] = {
    "relabel_exemplars": {
        "by_name": {
            "summary": "A class by its name",
            "value": {
                "labels": [{"exemplar_id": LISTED_SECOND, "class_name": "wall"}],
                "reason": "a wall, not a pole",
            },
        }
    },
    "preview_exemplars": {
        "both": {
            "summary": "One to remove, and one to relabel",
            "value": {"remove": [LISTED_THIRD], "relabel": [{"exemplar_id": LISTED_SECOND, "class_id": 1}]},
        }
    },
}
