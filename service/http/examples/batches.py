"""Examples of answers of /segment/batch and of jobs of images."""

from typing import Any

from service.http.examples import answers
from service.http.examples.scene import ANSWER, EARLIER, IMAGES_JOB, STREETS

_PROBLEM: dict[str, Any] = {
    "type": "about:blank",
    "title": "Unsupported Media Type",
    "status": 415,
    "detail": "The file is not an image in a supported format.",
    "received": "11 bytes that begin with 6e 6f 20 69",
    "allowed": "JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF, JPEG 2000, PNM",
    "fix": "Send an image file.",
}

JOB: dict[str, Any] = {
    "job_id": IMAGES_JOB,
    "kind": "segment",
    "state": "queued",
    "release": "streets",
    "release_digest": STREETS,
    "author": "anna",
    "reason": None,
    "created": "2026-11-30T09:12:40.018Z",
    "started": None,
    "ended": None,
    "stage": "queued",
    "done": 1,
    "total": 500,
    "progress": 0.0,
    "result": None,
    "problem": None,
}
ENDED: dict[str, Any] = JOB | {
    "state": "succeeded",
    "started": "2026-11-30T09:12:40.102Z",
    "ended": "2026-11-30T09:15:02.655Z",
    "stage": "export",
    "done": 500,
    "progress": 1.0,
    "result": {
        "format": "coco",
        "file": "segsort-coco.zip",
        "media_type": "application/zip",
        "bytes": 3_204_551,
        "images": 499,
        "failed": 1,
        "kept_answers": True,
        "result_url": f"/jobs/{IMAGES_JOB}/result",
    },
}
ANSWERS: dict[tuple[str, int], Any] = {
    ("segment_batch", 200): {
        "succeeded": 1,
        "failed": 1,
        "images": [
            {
                "name": "street.jpg",
                "status": 200,
                "answer": answers.ANSWERS["segment", 200],
                "problem": None,
                "retry_after": None,
            },
            {"name": "notes.txt", "status": 415, "answer": None, "problem": _PROBLEM, "retry_after": None},
        ],
    },
    ("segment_in_background", 202): JOB,
    ("list_job_images", 200): {
        "waiting": 497,
        "running": 0,
        "done": 2,
        "failed": 1,
        "images": [
            {"position": 0, "name": "a/street.jpg", "state": "done", "segmentation_id": ANSWER, "problem": None},
            {"position": 1, "name": "a/notes.txt", "state": "failed", "segmentation_id": None, "problem": _PROBLEM},
            {"position": 2, "name": "b/street.jpg", "state": "done", "segmentation_id": EARLIER, "problem": None},
        ],
    },
}
