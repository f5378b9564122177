"""One image and its answer: the labels to show, and the painted labels as marks. No napari, no Qt.

A label in napari is a class id + 1, because 0 is no label.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segsort_client import Client, Segmentation, Stroke

Labels = NDArray[np.int32]
Image = NDArray[np.uint8] | NDArray[np.uint16]


class Session:
    """Segments an image, and sends what was painted on it.

    Args:
        client: of the service.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.answer: Segmentation | None = None
        self._new: list[str] = []  # names of classes that the service does not have yet
        self._moved: dict[int, int] = {}  # labels before the newest marks, and those of the same classes after them

    def segment(self, image: Image, name: str) -> Labels:
        """The labels of an image [H, W] or [H, W, 3 or 4]: class id + 1, 0 where there is no class."""
        self.answer = self._client.segment(image, name=name)
        self._new.clear()
        return self.labels()

    def labels(self) -> Labels:
        """The labels of the present answer."""
        return self._segmented().to_label_map() + 1

    def classes(self) -> dict[int, tuple[str, str]]:
        """Name and colour (#rrggbb) of each label, with those that were added and not yet sent."""
        known = [] if self.answer is None else self.answer.classes
        found = {one.class_id + 1: (one.name, one.color) for one in known}
        first = max(found, default=0) + 1
        return found | {first + place: (name, "#ffffff") for place, name in enumerate(self._new)}

    def add_class(self, name: str) -> int:
        """The label of a class, which is new or not. It is made when a mark of it is sent.

        Raises:
            ValueError: if the name is empty.
        """
        if not name.strip():
            raise ValueError("A class needs a name.")
        numbers = {one: number for number, (one, _) in self.classes().items()}
        if name not in numbers:
            self._new.append(name)
        return {one: number for number, (one, _) in self.classes().items()}[name]

    def strokes(self, painted: NDArray[Any]) -> list[Stroke]:
        """The pixels of each painted label as a stroke.

        Args:
            painted: [H, W] labels, 0 where nothing was painted.

        Raises:
            ValueError: if the size is not that of the image, or a label has no class.
        """
        answer, classes = self._segmented(), self.classes()
        if painted.shape != (answer.height, answer.width):
            raise ValueError(f"The marks have the size {painted.shape}, the image {(answer.height, answer.width)}.")
        numbers = [int(number) for number in np.unique(painted) if number > 0]
        unnamed = [number for number in numbers if number not in classes]
        if unnamed:
            raise ValueError(
                f"The labels {unnamed} have no class. Paint with one of {sorted(classes)}, or add a class."
            )
        return [Stroke.of_mask(classes[number][0], painted == number) for number in numbers]

    def teach(self, painted: NDArray[Any]) -> str:
        """Send painted labels [H, W] as marks; the labels are those of the answer with them. Says what changed.

        Raises:
            ValueError: if nothing was painted, or the marks cannot be sent.
        """
        answer, strokes = self._segmented(), self.strokes(painted)
        if not strokes:
            raise ValueError("Nothing is painted. Paint on the layer of marks first.")
        marked = self._client.mark(answer, strokes, reason="painted in napari")
        changed, self._moved = 0, {}
        if marked.relabelled is not None:
            changed = len(marked.relabelled.changed)
            self._take(marked.relabelled, {one.class_name for one in strokes})
        return f"{len(marked.exemplars)} exemplars, {changed} segments have another label"

    def _take(self, answer: Segmentation, sent: set[str | None]) -> None:
        """Use the answer with marks, and note which labels changed their number. sent: names of the marked classes."""
        before, known = self.classes(), {one.name for one in answer.classes}
        self.answer = answer
        self._new = [name for name in self._new if name not in sent and name not in known]
        after = {name: number for number, (name, _) in self.classes().items()}
        self._moved = {number: after.get(name, number) for number, (name, _) in before.items()}

    def unsent(self, data: NDArray[Any], painted: NDArray[Any]) -> NDArray[Any]:
        """What was painted while marks were sent, in the labels of the answer with them.

        Args:
            data: [H, W] painted labels of now.
            painted: [H, W] what was sent.
        """
        left = np.where(data == painted, 0, data)
        moved = left.copy()
        for number, other in self._moved.items():
            moved[left == number] = other
        return moved

    def undo(self) -> str:
        """Revert the newest edit of this user, and label the image again. Says which edit it was."""
        undone = self._client.undo(reason="undone in napari")
        self.answer = self._client.relabel(self._segmented())
        return undone.edit.summary if undone.edit is not None else "nothing to undo"

    def explain(self, x: int, y: int) -> str:
        """Why the pixel in column x and row y has its label, in words; "" outside the image."""
        answer = self._segmented()
        if not (0 <= x < answer.width and 0 <= y < answer.height):
            return ""
        found = self._client.explain(answer.segments[answer.to_label_map("segment")[y, x]])
        if found.class_name is None:
            return "no class: there are no exemplars yet"
        near = ", ".join(f"{one.source} ({one.class_name}, cosine {one.similarity:.2f})" for one in found.exemplars[:3])
        sure = "" if found.known else ", which is not sure"
        return f"{found.class_name} with {found.share or 0:.0%} of the vote{sure}; nearest exemplars: {near}"

    def _segmented(self) -> Segmentation:
        """The answer.

        Raises:
            ValueError: if nothing was segmented yet.
        """
        if self.answer is None:
            raise ValueError("Nothing is segmented yet. Press Segment first.")
        return self.answer
