"""Classes, and changes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from segsort_client.parsing import Wire
from segsort_client.results.base import ClassInfo
from segsort_client.results.edits import Edited


@dataclass(frozen=True)
class OfferedClass:
    """A class that segments may take.

    Attributes:
        class_id: number of the class; it never changes.
        name: name of the class.
        color: colour in which it is drawn.
        exemplars: number of exemplars of this class that take part in votes.
        for_one_image: how many of these vote only for segments of their own image.
        origin: whether the release or an edit brought the class.
    """

    class_id: int
    name: str
    color: str
    exemplars: int
    for_one_image: int
    origin: str


@dataclass(frozen=True)
class ClassChanged(Edited):
    """A class that was created or changed.

    Attributes:
        info: the class after the edit.
    """

    info: Annotated[ClassInfo, Wire("class")]
