"""Examples of request bodies, for the image of the answers."""

import json
from typing import Any

from service.http.examples import audit, webhooks
from service.http.examples.scene import ANSWER, EARLIER, LISTED_SECOND, LISTED_THIRD

_STROKES = [
    {"class_name": "lane marking", "color": "#ffffff", "points": [[190, 294], [470, 296]], "width": 4},
    {"class_name": "road", "points": [[250, 332], [400, 332]], "width": 6},
]
_POLYGONS = [{"class_name": "tree", "polygons": [[245, 95, 270, 80, 293, 100, 292, 140, 270, 165, 243, 140]]}]
_SMALL_IMAGE = (  # a PNG file of 32x24 pixels
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAYAQMAAAChnW13AAAABlBMVEV4UDxajEapWiY1AAAAE0lEQVR42mNkYPjPwMTAwEBnAgCAQwEvukwAzAAA"
    "AABJRU5ErkJggg=="
)


def _named(summary: str, value: Any) -> dict[str, Any]:
    """An example with its name, as OpenAPI writes it."""
    return {"summary": summary, "value": value}


_MARKS: dict[str, Any] = {
    "strokes": _named("Lines", {"strokes": _STROKES, "reason": "lane markings are a class of their own"}),
    "segment": _named("A whole segment", {"labels": [{"segment_id": f"{ANSWER}-15", "class_name": "pole"}]}),
    "area": _named(
        "An area, for this image only",
        {
            "strokes": [{"class_name": "tree", "polygon": [[[245, 95], [293, 100], [292, 140], [243, 140]]]}],
            "scope": "image",
        },
    ),
}
_JSON: dict[str, dict[str, Any]] = {
    "segment": {"data_url": _named("A data: URL", {"image": f"data:image/png;base64,{_SMALL_IMAGE}"})},
    "sign_in": {"key": _named("A key of `segsort keys new`", {"key": "segsort_YOUR_KEY"})},
    "label_segment": {
        "by_name": _named("A class by its name", {"class_name": "pole", "reason": "a lamp post, not a building"}),
        "by_id": _named("A class by its id", {"class_id": 2}),
        "new_class": _named("A new class", {"class_name": "lamp post", "color": "#ffd700"}),
    },
    "add_exemplars": {
        "strokes": _named(
            "Strokes on the image of an earlier answer",
            {"segmentation_id": ANSWER, "strokes": _STROKES, "reason": "lane markings are a class of their own"},
        ),
        "polygons": _named(
            "Polygons on the image of an earlier answer", {"segmentation_id": ANSWER, "annotations": _POLYGONS}
        ),
        "new_image": _named(
            "Strokes on a new image",
            {
                "image": _SMALL_IMAGE,
                "source": "yard/1",
                "strokes": [
                    {"class_name": "soil", "points": [[3, 12], [12, 12]], "width": 5},
                    {"class_name": "grass", "points": [[20, 12], [29, 12]], "width": 5},
                ],
            },
        ),
    },
    "mark_segmentation": _MARKS,
    "preview_marks": _MARKS,
    "label_segments": {
        "cluster": _named(
            "Segments of two answers",
            {
                "labels": [
                    {"segment_id": f"{ANSWER}-15", "class_name": "pole"},
                    {"segment_id": f"{EARLIER}-40", "class_name": "pole"},
                ],
                "reason": "all lamp posts",
            },
        ),
        "this_image": _named(
            "A correction that changes no other image",
            {"labels": [{"segment_id": f"{ANSWER}-15", "class_id": 2}], "scope": "image"},
        ),
    },
    "remove_exemplars": {
        "two": _named(
            "Two exemplars", {"exemplar_ids": [LISTED_SECOND, LISTED_THIRD], "reason": "their outlines are wrong"}
        )
    },
    **audit.BODIES,
    **webhooks.BODIES,
    "revert_edit": {"reason": _named("With a reason", {"reason": "they were right after all"})},
    "save_class": {
        "new": _named("A new class", {"name": "kerb", "color": "#f423e8"}),
        "changed": _named("Another name and colour for a class", {"class_id": 2, "name": "post", "color": "#c0c080"}),
    },
    "make_release": {
        "general": _named("An empty release with the bundled features", {"name": "my-cells", "features": "general"}),
    },
    "carry_edits": {
        "reason": _named("With a reason", {"reason": "the update of the software has another network"}),
    },
    "compare_releases": {
        "two": _named("Two releases on one image", {"a": "streets", "b": "general", "segmentations": [ANSWER]}),
    },
    "build_release": {
        "mapped": _named(
            "Rename a class and leave another one out",
            {"survey_id": "5c" * 16, "name": "my-cells", "classes": {"nuclei": "nucleus", "debris": None}},
        ),
    },
    "export_selection": {
        "one_file": _named("Two answers in one COCO file", {"segmentation_ids": [ANSWER, EARLIER], "single": True}),
        "with_images": _named(
            "A data set for YOLO with its images", {"segmentation_ids": [ANSWER], "format": "yolo", "images": True}
        ),
    },
    "adapt_release": {
        "defaults": _named("Serve the new release if it is better", {"reason": "four streets are marked"}),
        "for_later": _named(
            "Take a minute, and only store the new release",
            {"name": "my-streets", "fit": "auto", "activate": "never", "budget_s": 60},
        ),
    },
}
_FORMS: dict[str, dict[str, Any]] = {
    "add_exemplars": {
        "strokes": _named(
            "Strokes on the image of an earlier answer",
            {"segmentation_id": ANSWER, "strokes": json.dumps(_STROKES)},
        ),
        "polygons": _named(
            "Polygons on the image of an earlier answer",
            {"segmentation_id": ANSWER, "annotations": json.dumps(_POLYGONS)},
        ),
    }
}

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    **{(operation, "application/json"): named for operation, named in _JSON.items()},
    **{(operation, "multipart/form-data"): named for operation, named in _FORMS.items()},
}
"""Named examples of a request body, by operation id and media type."""
