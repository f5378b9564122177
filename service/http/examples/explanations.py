"""Example of an explanation, of /explain."""

from typing import Any

from service.http.examples.scene import (
    ANOTHER_BUILDING_EXEMPLAR,
    ANSWER,
    BUILDING_EXEMPLAR,
    EARLIER,
    LAMP_POST_MASK,
    POLE_EXEMPLAR,
    RESERVE_EXEMPLAR,
    STREETS,
)

_POLE: dict[str, Any] = {
    "exemplar_id": POLE_EXEMPLAR,
    "class_id": 2,
    "class_name": "pole",
    "strength": 1.0,
    "scope": "all",
    "source": "streets/train/000378",
    "bbox": [0, 0, 149, 143],
    "area": 742,
    "mask": {
        "size": [360, 480],
        "counts": (
            "0i0;Be_X1OkjgN4N9ZE[OY:j0ZME_J3P6GoI5U6LiI7S6IQJ5]5HfHOU24j47UI_OX24mT6g0ViIXO62[7f0YH_OAF4OM057"
            "g7l0eHROD0H2b82^G8j0AB:>Ej66`H?:EI3KCa02Q73cHg1KTNO01h0b7]OeHc15oNTbd3"
        ),
    },
    "added_in": None,
    "removed_in": None,
    "author": None,
    "release": "streets",
    "image_url": f"/exemplars/{POLE_EXEMPLAR}/image",
    "crop_url": f"/exemplars/{POLE_EXEMPLAR}/crop",
}
_BUILDING: dict[str, Any] = {
    "exemplar_id": BUILDING_EXEMPLAR,
    "class_id": 1,
    "class_name": "building",
    "strength": 1.0,
    "scope": "all",
    "source": "streets/train/000172",
    "bbox": [25, 161, 73, 47],
    "area": 754,
    "mask": {
        "size": [360, 480],
        "counts": (
            "hn8a03KZ:0fEO^:NeEL`:289UEC]:?bEEU:j000001I7CdEIYj9:Z`FA[E`0b:4F:L50ROPFe0Z:VOeEf0a:NON4K4M3IiS2"
            "N]lM1NO300OO3F9N8J00014K1OO2O0N2L5MkSV4"
        ),
    },
    "added_in": None,
    "removed_in": None,
    "author": None,
    "release": "streets",
    "image_url": f"/exemplars/{BUILDING_EXEMPLAR}/image",
    "crop_url": f"/exemplars/{BUILDING_EXEMPLAR}/crop",
}
_ANOTHER_BUILDING: dict[str, Any] = {
    "exemplar_id": ANOTHER_BUILDING_EXEMPLAR,
    "class_id": 1,
    "class_name": "building",
    "strength": 1.0,
    "scope": "all",
    "source": "streets/train/000422",
    "bbox": [2, 79, 104, 98],
    "area": 2445,
    "mask": {
        "size": [360, 480],
        "counts": (
            "ii0Q2X9O2UNiFa1b9hN_Fc0c9YOaF>I^Oi9NbF=MCS:;lEFW:7hEJY:b0001OO2OO01OO1N2O2N12N1O1M6_Oa0G9ZO]NcGa"
            "1Z8dNdG\\1X8jNnGn0V90O1F:M3G9L41O0nMhG1ZOj0^:G6JhMEkI3R63lILU6J\\^5O[dJ4N1O1O16JU[12cdN9K4`FCQ8a0i"
            "GCP85oFOo01o7JUGJL=f0D[O`0m8C\\G:5;_8YO^Gf1R90M4O01O001oNdF4^9JbF6`9GbF8`9DgF7\\9DjF8Z9ChF;X9FiF9W"
            "9EmF:R9EPG=m8@_G3jk49j]KJ7KgZS4"
        ),
    },
    "added_in": None,
    "removed_in": None,
    "author": None,
    "release": "streets",
    "image_url": f"/exemplars/{ANOTHER_BUILDING_EXEMPLAR}/image",
    "crop_url": f"/exemplars/{ANOTHER_BUILDING_EXEMPLAR}/crop",
}
_RESERVE: dict[str, Any] = {
    "exemplar_id": RESERVE_EXEMPLAR,
    "class_id": 2,
    "class_name": "pole",
    "strength": 1.0,
    "scope": "all",
    "source": "streets/train/000408",
    "bbox": [229, 77, 51, 90],
    "area": 126,
    "mask": {"size": [360, 480], "counts": "]d`2?5NR:d0P_`0^OQW_OJNLc03DIQ8>gGMfaV2"},
    "added_in": None,
    "removed_in": None,
    "author": None,
    "release": "streets",
    "image_url": f"/exemplars/{RESERVE_EXEMPLAR}/image",
    "crop_url": f"/exemplars/{RESERVE_EXEMPLAR}/crop",
}

ANSWERS: dict[tuple[str, int], Any] = {
    ("explain", 200): {
        "segment_id": f"{ANSWER}-15",
        "segmentation_id": ANSWER,
        "class_id": 1,
        "class_name": "building",
        "confidence": 0.520621,
        "share": 0.582143,
        "known": True,
        "familiarity": 0.964519,
        "image_similarity": 0.984374,
        "area": 459,
        "bbox": [179, 45, 241, 166],
        "mask": LAMP_POST_MASK,
        "vote": {
            "k": 3,
            "kappa": 10.0,
            "classes": [
                {"class_id": 1, "class_name": "building", "weight": 0.582143, "color": "#800000"},
                {"class_id": 2, "class_name": "pole", "weight": 0.417857, "color": "#c0c080"},
            ],
        },
        "exemplars": [
            _POLE | {"similarity": 0.944664, "weight": 0.417857},
            _BUILDING | {"similarity": 0.915793, "weight": 0.313069},
            _ANOTHER_BUILDING | {"similarity": 0.900649, "weight": 0.269074},
        ],
        "reserve": [_RESERVE | {"similarity": 0.882293}],
        "runner_up": {
            "class_id": 2,
            "class_name": "pole",
            "weight": 0.417857,
            "exemplars": [_POLE | {"similarity": 0.944664}, _RESERVE | {"similarity": 0.882293}],
        },
        "margin": 0.164287,
        "flip_set": [BUILDING_EXEMPLAR, ANOTHER_BUILDING_EXEMPLAR],
        "boundary": {
            "distance_px": 3,
            "share": 1.0,
            "neighbours": [
                {"segment_id": f"{ANSWER}-47", "class_name": "pole", "known": True, "share": 0.760349},
                {"segment_id": f"{ANSWER}-35", "class_name": "building", "known": True, "share": 0.276688},
            ],
        },
        "similar": [
            {
                "segment_id": f"{EARLIER}-41",
                "class_name": "building",
                "known": True,
                "confidence": 0.576462,
                "similarity": 0.881687,
                "image_url": f"/segmentations/{EARLIER}/image",
                "crop_url": f"/segments/{EARLIER}-41/crop",
            },
            {
                "segment_id": f"{EARLIER}-34",
                "class_name": "pole",
                "known": True,
                "confidence": 0.983709,
                "similarity": 0.856402,
                "image_url": f"/segmentations/{EARLIER}/image",
                "crop_url": f"/segments/{EARLIER}-34/crop",
            },
        ],
        "corrections": [],
        "calibration": {
            "confidence_x": [0.609456, 0.856822, 0.95457, 1.0],
            "confidence_y": [0.54505, 0.660775, 0.772637, 0.983709],
            "known_threshold": 0.950027,
            "how": "held-out images of camvid/held; 3531 segments of 36 images, weighted by area",
            "calibrated": True,
        },
        "search": None,
        "incomplete": None,
        "release": "streets",
        "release_digest": STREETS,
        "index_revision": 0,
        "label_url": f"/segments/{ANSWER}-15/label",
        "image_url": f"/segmentations/{ANSWER}/image",
        "crop_url": f"/segments/{ANSWER}-15/crop",
    },
}
