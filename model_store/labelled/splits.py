"""Names of splits. Data sets name one part differently: val, valid, validation, val2017."""

import re
from collections.abc import Collection
from pathlib import Path

from model_store.labelled.survey import stem_key

TRAINING, VALIDATION, TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
WHOLE = ""  # name of the only part of data that have no splits


def choose_split(asked: str, parts: Collection[str], place: Path) -> str:
    """The part of a data set that a split means.

    Args:
        asked: name of the split.
        parts: names of the parts that exist. If WHOLE is the only one, it is chosen for any split.
        place: where the parts are, for the message.

    Returns:
        The part of exactly this name, or else the only one that differs in a year ("val2017") or is a usual other name
        ("valid" and "validation" for "val", "training" for "train", "testing" for "test").

    Raises:
        ValueError: if there is no such part, or there are several.
    """
    if set(parts) == {WHOLE}:
        return WHOLE
    exact = [part for part in parts if stem_key(part) == stem_key(asked)]
    found = exact or [part for part in parts if part != WHOLE and meaning(part) == meaning(asked)]
    if len(found) != 1:
        problem = "is ambiguous" if found else "does not exist"
        raise ValueError(
            f"split {asked!r} {problem} in {place}; choose {', '.join(sorted(found or filter(None, parts)))}"
        )
    return found[0]


def meaning(part: str) -> str:
    """The usual name of a split: "train", "val" or "test" for their other names, without a year; else unchanged."""
    name = re.sub(r"[-_ ]?\d{4}$", "", stem_key(part).lower())
    return next((names[0] for names in (TRAINING, VALIDATION, TEST) if name in names), name)


def is_usual(part: str) -> bool:
    """Whether a name is one of the usual names of splits."""
    return meaning(part) in (TRAINING[0], VALIDATION[0], TEST[0])
