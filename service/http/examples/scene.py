"""What the examples have in common: ids, classes and one segment."""

from typing import Any

ANSWER = "3f" * 16
CORRECTED = "4c" * 16
DIVIDED = "5d" * 16
RELABELLED = "6a" * 16
EARLIER = "2b" * 16
IMAGE = "9a" * 32
EARLIER_IMAGE = "8f" * 32
JOB = "7b" * 16
CANCELLED_JOB = "d8" * 16
IMAGES_JOB = "5e" * 16
STREETS = "a5a4c2bc408491efde7e271e2b5778141369b00df5e2782ba4350461046acda2"
GENERAL = "6f5f11092ef98cdb30514f691d15b33cbff1f1665a0ae799f9474c09e3fcd6d7"
POLE_EXEMPLAR = "a1" * 8
BUILDING_EXEMPLAR = "b2" * 8
ANOTHER_BUILDING_EXEMPLAR = "b3" * 8
RESERVE_EXEMPLAR = "a2" * 8
CORRECTION = "c4" * 8
LISTED = "e5" * 8
LISTED_SECOND = "e6" * 8
LISTED_THIRD = "e7" * 8
BUILDING: dict[str, Any] = {"class_id": 1, "name": "building", "color": "#800000"}
POLE: dict[str, Any] = {"class_id": 2, "name": "pole", "color": "#c0c080"}
LAMP_POST_MASK: dict[str, Any] = {
    "size": [360, 480],
    "counts": ("gQo16<2`72WHQ29iNd6TOUIS27iNe6ROXIo19iNV^2XOhaM5j9LkE4MIZ:=^cn0AW]QO8ON2J]f^10dYaN8IO6HVod0"),
}
