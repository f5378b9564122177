"""Labelled images that a worker of their own reads: their documents and masks are as untrusted as images are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model_store.class_info import ClassInfo
from model_store.workers.limits import WorkLimits
from model_store.workers.stopping import present_stop
from model_store.workers.worker import Answer, Ended, Worker


class OwnPart(NamedTuple):
    """The part of labelled images that is held out: how many images, and how they were chosen, in words."""

    images: int
    rule: str


class LabelledReader:
    """Labelled images in a folder, see `model_store.labelled.LabelledFiles`. One thread at a time may use it.

    Attributes:
        name: of the format; folder: of the data; images: the image files; classes: with ids 0, 1, 2, ...; skipped: the
        reason, by file that is not used; notes: other things that a user should know.
    """

    def __init__(self, worker: Worker, limits: WorkLimits, root: Path, name: str, split: str) -> None:
        self._worker, self._limits, self._root = worker, limits, root
        found: dict[str, Any] = self._ask("open_labelled", root=str(root), name=name, split=split).value
        self.name, self.folder = str(found["name"]), Path(found["folder"])
        self.images = [Path(file) for file in found["images"]]
        self.classes = [
            ClassInfo(class_id=number, name=name_, color=color) for number, name_, color in found["classes"]
        ]
        self.skipped: dict[str, str] = found["skipped"]
        self.notes: list[str] = found["notes"]

    def labels(self, i: int, size: tuple[int, int]) -> np.ndarray:
        """Labels of an image of size (H, W): [H, W] uint8, a class id or IGNORE.

        Raises:
            ValueError: if they cannot be read or do not fit the image.
            Ended: if that took too much computing or memory. The reader must not be used again.
        """
        return self._ask("labels", i=i, size=size).arrays[0]

    def label_counts(self, i: int) -> tuple[list[int], list[int]]:
        """The values of an image's labels, and the number of pixels of each, see `labels`."""
        values, counts = self._ask("label_counts", i=i).value
        return values, counts

    def own_part(self) -> OwnPart | None:
        """The part "val" of the data, see `model_store.labelled_parts.own_part`; None if it has none."""
        found = self._ask("own_part", root=str(self._root)).value
        return None if found is None else OwnPart(int(found[0]), str(found[1]))

    def _ask(self, job: str, **arguments: Any) -> Answer:
        stop = present_stop()
        with stop.ending(self._worker.kill):
            try:
                return self._worker.ask(job, b"", arguments, self._limits, stop.until)
            except Ended as ended:
                raise Ended("stopped" if stop.is_set else ended.cause, ended.detail) from ended


@contextmanager
def reading_labelled(limits: WorkLimits, root: Path, name: str, split: str) -> Iterator[LabelledReader]:
    """Open labelled images in a worker, which ends with the block.

    Args:
        limits: of each step, as for the largest image.
        root: folder or file of the data.
        name: of a format, or "auto".
        split: part of the data.

    Raises:
        ValueError: if the data do not follow the format.
        Ended: if opening them took too much computing or memory.
        OSError: if no worker can be started.
    """
    worker = Worker()
    try:
        worker.wait_until_ready()
        yield LabelledReader(worker, limits, root, name, split)
    finally:
        worker.close()
