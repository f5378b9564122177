"""Examples of suggestions and clusters, of /suggestions and /clusters."""

from typing import Any

from service.http.examples.scene import ANSWER, EARLIER, IMAGE

ANSWERS: dict[tuple[str, int], Any] = {
    ("list_suggestions", 200): {
        "release": "streets",
        "index_revision": 0,
        "images": 3,
        "marked": 0,
        "suggestions": [
            {
                "segmentation_id": ANSWER,
                "image_id": IMAGE,
                "image_url": f"/segmentations/{ANSWER}/image",
                "width": 480,
                "height": 360,
                "created": "2026-11-29T23:55:22.822Z",
                "score": 0.001732,
                "unknown": 0.036481,
                "uncertainty": 0.02465,
                "novelty": 0.005177,
                "reasons": [
                    "4 % of its area is unknown.",
                    "Labels of the rest are 97 % sure on average.",
                    "Mean similarity to what is labelled or suggested before it: 0.99.",
                ],
            }
        ],
    },
    ("list_clusters", 200): {
        "release": "streets",
        "index_revision": 0,
        "images": 3,
        "segments": 44,
        "left_out": 0,
        "near": 0.950027,
        "clusters_found": 22,
        "clusters": [
            {
                "size": 4,
                "images": 3,
                "area": 0.014086,
                "spread": 0.921873,
                "nearest": {"class_id": 4, "class_name": "pavement", "similarity": 0.911705},
                "segments": [
                    {
                        "segment_id": f"{ANSWER}-53",
                        "segmentation_id": ANSWER,
                        "class_name": "pavement",
                        "known": False,
                        "area": 739,
                        "share": 0.004277,
                        "similarity": 0.948586,
                        "crop_url": f"/segments/{ANSWER}-53/crop",
                    },
                    {
                        "segment_id": f"{EARLIER}-74",
                        "segmentation_id": EARLIER,
                        "class_name": "road",
                        "known": False,
                        "area": 675,
                        "share": 0.003906,
                        "similarity": 0.893698,
                        "crop_url": f"/segments/{EARLIER}-74/crop",
                    },
                ],
            }
        ],
    },
}
