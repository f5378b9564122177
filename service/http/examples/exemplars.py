"""Examples of answers of /exemplars."""

from typing import Any

from service.http.examples.scene import (
    ANSWER,
    BUILDING,
    CORRECTION,
    DIVIDED,
    IMAGE,
    LAMP_POST_MASK,
    LISTED,
    LISTED_SECOND,
    LISTED_THIRD,
    POLE,
    POLE_EXEMPLAR,
    STREETS,
)

_SKY: dict[str, Any] = {
    "exemplar_id": LISTED,
    "class_id": 0,
    "class_name": "sky",
    "strength": 1.0,
    "scope": "all",
    "source": "streets/train/000000",
    "bbox": [220, 0, 74, 85],
    "area": 3411,
    "added_in": None,
    "removed_in": None,
    "author": None,
    "release": "streets",
    "image_url": f"/exemplars/{LISTED}/image",
    "crop_url": f"/exemplars/{LISTED}/crop",
}
_LANE_MARKING: dict[str, Any] = {"class_id": 11, "name": "lane marking", "color": "#ffffff"}

ANSWERS: dict[tuple[str, int], Any] = {
    ("list_exemplars", 200): {
        "total": 6000,
        "exemplars": [
            _SKY,
            {
                "exemplar_id": LISTED_SECOND,
                "class_id": 1,
                "class_name": "building",
                "strength": 1.0,
                "scope": "all",
                "source": "streets/train/000000",
                "bbox": [344, 0, 132, 65],
                "area": 3368,
                "added_in": None,
                "removed_in": None,
                "author": None,
                "release": "streets",
                "image_url": f"/exemplars/{LISTED_SECOND}/image",
                "crop_url": f"/exemplars/{LISTED_SECOND}/crop",
            },
        ],
    },
    ("add_exemplars", 201): {
        "index_revision": 2,
        "edit": {
            "revision": 2,
            "kind": "add",
            "release": "streets",
            "release_digest": STREETS,
            "author": "anna",
            "reason": "lane markings are a class of their own",
            "created": "2026-11-29T18:59:18.382Z",
            "summary": "added 10 exemplars: 5 of lane marking, 5 of road",
            "exemplar_ids": ["12" * 8, "13" * 8],
            "classes": [_LANE_MARKING],
            "reverted_by": None,
            "scope": "all",
        },
        "exemplars": [
            {
                "exemplar_id": "12" * 8,
                "class_id": 11,
                "class_name": "lane marking",
                "area": 39,
                "bbox": [189, 292, 16, 4],
                "strength": 18.0,
                "scope": "all",
                "wins": True,
                "added": True,
            },
            {
                "exemplar_id": "13" * 8,
                "class_id": 3,
                "class_name": "road",
                "area": 191,
                "bbox": [268, 329, 34, 6],
                "strength": 1.0,
                "scope": "all",
                "wins": True,
                "added": True,
            },
        ],
        "classes": [_LANE_MARKING],
        "already": 0,
        "dropped": [],
        "relabelled": {
            "segmentation_id": DIVIDED,
            "width": 480,
            "height": 360,
            "release": "streets",
            "release_digest": STREETS,
            "index_revision": 2,
            "classes": [BUILDING, POLE, {"class_id": 3, "name": "road", "color": "#804080"}, _LANE_MARKING],
            "segments": [
                {
                    "segment_id": f"{DIVIDED}-15",
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
                },
                {
                    "segment_id": f"{DIVIDED}-88",
                    "class_id": 11,
                    "class_name": "lane marking",
                    "confidence": 0.730514,
                    "known": True,
                    "share": 0.917762,
                    "margin": 0.835524,
                    "area": 516,
                    "bbox": [180, 251, 65, 78],
                    "mask": {
                        "size": [360, 480],
                        "counts": (
                            "Vbo13T;1O1O1O010N1001OoEKP95mF1R9NlF5S9KkF6V9JdF<\\9DbF=`9B\\F`0f9@QFe0T:ZOlEa0W:AiE>X:BhE;[:EeE6_"
                            ":KaE4^:NbEO`:2<O00002M3M^k3OaTL300OO20O1O001000O001O010N20O100N1D=O10O2O4L002M4Ld[b2"
                        ),
                    },
                    "exemplars": [
                        {
                            "exemplar_id": "12" * 8,
                            "class_name": "lane marking",
                            "similarity": 0.981782,
                            "weight": 0.917762,
                        },
                        {"exemplar_id": "14" * 8, "class_name": "road", "similarity": 0.961199, "weight": 0.041502},
                    ],
                },
            ],
            "image_id": IMAGE,
            "image_url": f"/segmentations/{DIVIDED}/image",
            "conversion": None,
            "page": 0,
            "pages": 1,
            "relabelled_from": ANSWER,
            "changed": [
                {
                    "segment_id": f"{DIVIDED}-15",
                    "before_segment_id": f"{ANSWER}-15",
                    "before": "building",
                    "after": "pole",
                },
                {
                    "segment_id": f"{DIVIDED}-88",
                    "before_segment_id": f"{ANSWER}-79",
                    "before": "road",
                    "after": "lane marking",
                },
            ],
            "timings_ms": {"retrieve": 2.663, "total": 2.663},
        },
    },
    ("add_exemplars", 200): {
        "index_revision": 2,
        "edit": None,
        "exemplars": [
            {
                "exemplar_id": "12" * 8,
                "class_id": 11,
                "class_name": "lane marking",
                "area": 39,
                "bbox": [189, 292, 16, 4],
                "strength": 18.0,
                "scope": "all",
                "wins": True,
                "added": False,
            },
            {
                "exemplar_id": "13" * 8,
                "class_id": 3,
                "class_name": "road",
                "area": 191,
                "bbox": [268, 329, 34, 6],
                "strength": 1.0,
                "scope": "all",
                "wins": True,
                "added": False,
            },
        ],
        "classes": [],
        "already": 10,
        "dropped": [],
        "relabelled": None,
    },
    ("get_exemplar", 200): _SKY
    | {
        "mask": {
            "size": [360, 480],
            "counts": (
                "Y[]24T;0O109SEGY:9gEHX:8hEHX:g0L10005J2O1O1O0O101O0O2O1O001O001N2O1O00002N2N2N1O001O000000000O10"
                "1dFYNS9i1lFYNS9P2N1XGmMY8T2cGmM_8S2`GlMb8U2ZGlMh8X22O1O1O100O100O1O1N2O1O1O1O1QOlFFX9:iFEW9:jFFV"
                "9OY1N1O0J600O1N3O0O3K4NZ\\Q2"
            ),
        }
    },
    ("remove_exemplar", 200): {
        "index_revision": 5,
        "edit": {
            "revision": 5,
            "kind": "remove",
            "release": "streets",
            "release_digest": STREETS,
            "author": "anna",
            "reason": None,
            "created": "2026-11-29T18:59:18.703Z",
            "summary": "removed an exemplar of sky",
            "exemplar_ids": [LISTED],
            "classes": [],
            "reverted_by": None,
        },
    },
    ("remove_exemplars", 200): {
        "index_revision": 6,
        "edit": {
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
            "reverted_by": None,
        },
        "already": 1,
    },
    ("import_labelled_images", 201): {
        "index_revision": 9,
        "format": "coco",
        "images": [
            {"name": "images/field_01.jpg", "revision": 8, "exemplars": 31, "already": 0},
            {"name": "images/field_02.jpg", "revision": 9, "exemplars": 12, "already": 0},
        ],
        "skipped": [{"name": "images/field_03.jpg", "reason": "no annotation"}],
        "notes": [],
    },
}
