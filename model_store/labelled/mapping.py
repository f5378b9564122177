"""Labelled images whose classes are renamed, merged or ignored."""

import json
from pathlib import Path

import numpy as np

from model_store.class_info import ClassInfo
from model_store.labelled.samples import IGNORE, Dataset, Photograph, Sample


class MappedClasses:
    """A data set with other classes.

    Args:
        data: the data set.
        names: new name by the name of a class, or None to leave its pixels unlabelled. Classes of one new name are
            merged. A class without an entry keeps its name.

    Raises:
        ValueError: if a name is no class of the data set, or no class is left.
    """

    def __init__(self, data: Dataset, names: dict[str, str | None]) -> None:
        known = [info.name for info in data.classes]
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise ValueError(
                f"the mapping of classes names {', '.join(unknown)}, which {data.name} does not have; its classes are "
                f"{', '.join(known)}"
            )
        kept: dict[str, ClassInfo] = {}
        self._lookup = np.full(256, IGNORE, dtype=np.uint8)
        for info in data.classes:
            name = names.get(info.name, info.name)
            if name is not None:
                found = kept.setdefault(name, ClassInfo(class_id=len(kept), name=name, color=info.color))
                self._lookup[info.class_id] = found.class_id
        if not kept:
            raise ValueError("the mapping leaves no class; keep the name of one at least")
        self._data, self.name, self.classes = data, data.name, tuple(kept.values())
        for attribute in ("folder", "split", "survey", "licence"):
            if hasattr(data, attribute):
                setattr(self, attribute, getattr(data, attribute))

    def __len__(self) -> int:
        return len(self._data)

    def photograph(self, i: int) -> Photograph:
        """Read an image."""
        return self._data.photograph(i)

    def __getitem__(self, i: int) -> Sample:
        """Read an image and its labels."""
        image, labels, source = self._data[i]
        return Sample(image, self._lookup[labels], source)


def read_mapping(file: Path) -> dict[str, str | None]:
    """Read a mapping of classes: a JSON object such as {"truck": "vehicle", "car": "vehicle", "sky": null}.

    Raises:
        ValueError: if the file cannot be read or is not such an object.
    """
    try:
        names = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as JSON ({error})") from error
    if not isinstance(names, dict) or not all(
        value is None or (isinstance(value, str) and value.strip()) for value in names.values()
    ):
        raise ValueError(
            f'{file} must contain an object such as {{"truck": "vehicle", "sky": null}}: a new name for each class, or '
            "null to leave its pixels unlabelled"
        )
    return {name: value if value is None else value.strip() for name, value in names.items()}
