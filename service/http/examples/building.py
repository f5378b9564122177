"""Examples of answers of /releases/survey, /releases/build and /releases/compare. The comparison is made up."""

from typing import Any

from service.http.examples.scene import ANSWER, JOB, STREETS

_SURVEY: dict[str, Any] = {
    "survey_id": "5c" * 16,
    "format": "folder",
    "split": "train",
    "images": 40,
    "counted": 40,
    "classes": [
        {"name": "background", "color": "#1e1e1e", "images": 40, "share": 0.841207, "proposed": "background"},
        {"name": "nucleus", "color": "#e6783c", "images": 40, "share": 0.158793, "proposed": "nucleus"},
    ],
    "skipped": [{"name": "images/train/notes.txt", "reason": "not an image by its suffix"}],
    "skipped_files": 1,
    "notes": [],
    "held_out": 40,
    "held_out_rule": "the 40 images of the part 'val' of the data",
    "proposed_name": "nuclei",
}

_COMPARED: dict[str, Any] = {
    "segmentation_id": ANSWER,
    "image_url": f"/segmentations/{ANSWER}/image",
    "width": 480,
    "height": 360,
    "agreement": 0.791667,
    "marked_pixels": 0,
    "miou_a": None,
    "miou_b": None,
    "a": [
        {
            "class_name": "road",
            "color": "#804080",
            "area": 108000,
            "mask": {"size": [360, 480], "counts": "0P_Y3PYo1"},
        },
        {
            "class_name": "building",
            "color": "#800000",
            "area": 64800,
            "mask": {"size": [360, 480], "counts": "P_Y3PYo1"},
        },
    ],
    "b": [
        {
            "class_name": "road",
            "color": "#804080",
            "area": 72000,
            "mask": {"size": [360, 480], "counts": "PUS1PZV2PYo1"},
        },
        {
            "class_name": "building",
            "color": "#800000",
            "area": 64800,
            "mask": {"size": [360, 480], "counts": "P_Y3PYo1"},
        },
        {
            "class_name": None,
            "color": "#888888",
            "area": 36000,
            "mask": {"size": [360, 480], "counts": "0PUS1PcU4"},
        },
    ],
}

ANSWERS: dict[tuple[str, int], Any] = {
    ("survey_labelled_images", 201): _SURVEY,
    ("get_survey", 200): _SURVEY,
    ("compare_releases", 200): {
        "a": "streets",
        "b": "my-streets",
        "agreement": 0.791667,
        "marked_pixels": 0,
        "miou_a": None,
        "miou_b": None,
        "images": [_COMPARED],
    },
    ("build_release", 202): {
        "job_id": JOB,
        "kind": "build",
        "state": "queued",
        "release": "streets",
        "release_digest": STREETS,
        "author": "anna",
        "reason": None,
        "created": "2026-11-30T09:02:11.250Z",
        "started": None,
        "ended": None,
        "stage": "queued",
        "done": 0,
        "total": 1,
        "progress": 0.0,
        "result": None,
        "problem": None,
    },
}
