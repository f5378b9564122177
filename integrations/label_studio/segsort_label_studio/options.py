"""Options of the backend, and those of one project."""

import json
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from segsort_label_studio.config import REGIONS, Kind

Objects = Literal["objects", "segments"]
Scope = Literal["all", "image"]


@dataclass(frozen=True)
class Options:
    """How predictions are made and what corrections teach. A project may set its own, as "Extra params" of its model.

    regions: objects: touching segments with one label are one region; segments: each segment is one.
    shapes: kinds of regions that are drawn, of those that the labelling interface has; empty: the most exact one.
    unknown: also predict segments that are unlike all exemplars.
    scope: all: corrections teach for all images; image: only for their own.
    """

    regions: Objects = "objects"
    shapes: tuple[Kind, ...] = ()
    unknown: bool = False
    scope: Scope = "all"

    def of_project(self, text: str) -> "Options":
        """These options with those that a project sets.

        Args:
            text: JSON object, or nothing.

        Raises:
            ValueError: if an option is unknown or malformed.
        """
        if not text.strip():
            return self
        try:
            given = json.loads(text)
        except ValueError as error:
            raise ValueError(f"The extra params of the model are not JSON ({error}).") from error
        if isinstance(given, str):  # Label Studio stores what was typed into its form as a text
            return self.of_project(given)
        if given is None:
            return self
        if not isinstance(given, dict):
            raise ValueError(f"The extra params of the model are not an object: {text[:100]}")
        return replace(self, **{key: _checked(key, value) for key, value in given.items()})


def _checked(key: str, value: Any) -> Any:
    if key == "shapes" and isinstance(value, list) and value and all(kind in REGIONS for kind in value):
        return tuple(value)
    if key == "unknown" and isinstance(value, bool):
        return value
    if (key == "regions" and value in get_args(Objects)) or (key == "scope" and value in get_args(Scope)):
        return value
    allowed = {
        "regions": get_args(Objects), "shapes": f"list of {REGIONS}", "unknown": (True, False), "scope": get_args(Scope)
    }  # fmt: skip
    if key not in {field.name for field in fields(Options)}:
        raise ValueError(f"The extra params of the model have no {key!r}; allowed: {', '.join(allowed)}.")
    raise ValueError(f"The extra param {key!r} is {value!r}; allowed: {allowed[key]}.")
