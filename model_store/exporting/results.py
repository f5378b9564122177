"""What is exported: the segments of images with their labels."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from model_store.card import ClassInfo
from model_store.labelled import MapPlace
from segsort.masks import bounding_boxes


class ExportSegment(NamedTuple):
    """A segment and its label.

    segment_id: unique in the export; class_id: None: no exemplar voted; confidence: 0..1; None: not measured; known:
    whether the segment is familiar enough, see `model_store.predictor`; exemplars: ids of the exemplars that voted.
    """

    segment_id: str
    class_id: int | None
    confidence: float | None
    known: bool
    exemplars: tuple[str, ...] = ()


class ExportImage(NamedTuple):
    """An image and its segments.

    name: file name with suffix; any text is allowed, see `names`; labels: [H, W] int, position in `segments`, -1: in no
    segment; image_id: of the image or of its answer; place: on a map, see `model_store.labelled.geotransform`; None:
    coordinates are pixels; content: the image file, which is stored beside the labels; None: it is not stored.
    """

    name: str
    labels: np.ndarray
    segments: Sequence[ExportSegment]
    image_id: str
    place: MapPlace | None = None
    content: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.labels.shape[0], self.labels.shape[1]


class SegmentShape(NamedTuple):
    """The pixels of a segment.

    number: its position in the segments of its image; segment: its label; box: x, y, width, height in pixels; area:
    pixels; mask: [height, width] bool, the pixels inside the box.
    """

    number: int
    segment: ExportSegment
    box: tuple[int, int, int, int]
    area: int
    mask: np.ndarray


def class_of(segment: ExportSegment, classes: dict[int, ClassInfo]) -> ClassInfo | None:
    """The class of a segment; None if it is unknown, even if exemplars voted for a class.

    Raises:
        ValueError: if the class is not one of `classes`.
    """
    if segment.class_id is None or not segment.known:
        return None
    if segment.class_id not in classes:
        raise ValueError(
            f"segment {segment.segment_id} has the class {segment.class_id}; the classes are {sorted(classes)}"
        )
    return classes[segment.class_id]


def check_labels(image: ExportImage) -> None:
    """Check that the label map of an image fits its segments.

    Raises:
        ValueError: if it is no integer map, or has a number that is not the position of a segment.
    """
    labels, most = image.labels, len(image.segments) - 1
    if labels.ndim != 2 or not labels.size or not np.issubdtype(labels.dtype, np.signedinteger):
        raise ValueError(f"{image.name}: labels are {labels.dtype} {labels.shape}; they must be signed integers [H, W]")
    if int(labels.min()) < -1 or int(labels.max()) > most:
        raise ValueError(
            f"{image.name}: labels are {int(labels.min())}..{int(labels.max())}; they must be -1..{most}, the "
            f"positions of {len(image.segments)} segments"
        )


def areas_of(image: ExportImage) -> np.ndarray:
    """Pixels of each segment: [S] int64."""
    return np.bincount(image.labels.ravel() + 1, minlength=len(image.segments) + 1)[1:]


def shapes_of(image: ExportImage) -> Iterator[SegmentShape]:
    """The segments of an image that have pixels, one at a time, in their order."""
    boxes = bounding_boxes(image.labels, len(image.segments)).tolist()
    for number, (segment, area, box) in enumerate(zip(image.segments, areas_of(image).tolist(), boxes, strict=True)):
        if area:
            x, y, width, height = box
            mask = image.labels[y : y + height, x : x + width] == number
            yield SegmentShape(number, segment, (x, y, width, height), area, mask)
