"""The work of a worker that reads labelled images: it keeps what it has opened."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from model_store.labelled import LabelledFiles, detect, open_format
from model_store.labelled_parts import own_part, rule_of_own_part
from model_store.workers.jobs import Done, Work

_opened: list[LabelledFiles] = []


def _open(root: str, name: str, split: str) -> Done:
    """Open labelled images; name: of a format, or "auto"."""
    place = Path(root)
    data = open_format(place, detect(place) if name == "auto" else name, split)
    _opened[:] = [data]
    survey = data.survey
    return Done(
        {
            "name": data.name,
            "folder": str(survey.folder),
            "images": [str(data.image_file(i)) for i in range(len(data))],
            "classes": [[info.class_id, info.name, info.color] for info in data.classes],
            "skipped": survey.skipped,
            "notes": survey.notes,
        }
    )


def _labels(i: int, size: list[int]) -> Done:
    return Done(None, (_opened[0].labels(i, (size[0], size[1])),))


def _label_counts(i: int) -> Done:
    values, counts = np.unique(_opened[0][i].labels, return_counts=True)
    return Done([values.tolist(), counts.tolist()])


def _own_part(root: str) -> Done:
    own = own_part(_opened[0], Path(root), _opened[0].name)
    return Done(None if own is None else [len(own), rule_of_own_part(own)])


JOBS: Mapping[str, Work] = {
    "open_labelled": _open, "labels": _labels, "label_counts": _label_counts, "own_part": _own_part,
}  # fmt: skip
