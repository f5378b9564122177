"""Answers: a segmented image and its segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from segsort_client import rle
from segsort_client.errors import InputError
from segsort_client.parsing import Wire
from segsort_client.results.base import Box, ClassInfo, Incomplete, Mask, PolygonMask

if TYPE_CHECKING:
    from supervision import Detections

NO_CLASS = -1  # in label maps and detections


@dataclass(frozen=True)
class SegmentExemplar:
    """An exemplar that voted on a segment. similarity: cosine; weight: its share of the vote."""

    exemplar_id: str
    class_name: str
    similarity: float
    weight: float


@dataclass(frozen=True)
class Segment:
    """A segment of an image with its label.

    Attributes:
        segment_id: its id, for `explain` and `label`.
        class_id, class_name: its class; None: no exemplar voted.
        confidence: calibrated, 0 to 1; None: the release is not calibrated, or nothing voted.
        known: whether the segment and its image resemble the exemplars.
        share: share of the vote that the class has; None: nothing voted.
        margin: `share` minus that of the second class.
        area: number of pixels.
        bbox: (x, y, width, height) in pixels.
        shape: the mask as it was sent; None with `masks="none"`.
        exemplars: those that resemble it most, best first.
    """

    segment_id: str
    class_id: int | None
    class_name: str | None
    confidence: float | None
    known: bool
    share: float | None
    margin: float | None
    area: int
    bbox: Box
    exemplars: tuple[SegmentExemplar, ...]
    shape: Annotated[Mask | PolygonMask | None, Wire("mask")] = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[height, width] bool, decoded anew each time.

        Raises:
            InputError: if the answer has no run lengths.
        """
        return self.rle.decode()

    @property
    def rle(self) -> Mask:
        """The mask as COCO compressed run lengths.

        Raises:
            InputError: if the answer has no run lengths.
        """
        if isinstance(self.shape, Mask):
            return self.shape
        raise InputError(
            "The answer has no run lengths.", received="outlines" if self.shape else "no masks", allowed='masks="rle"',
            fix='Segment with masks="rle", or read the answer again: client.segmentation(segmentation_id).',
        )  # fmt: skip


@dataclass(frozen=True)
class Timings:
    """Times of the stages of a segmentation in milliseconds."""

    decode: float
    embed: float
    sort: float
    retrieve: float
    total: float


@dataclass(frozen=True)
class RelabelTimings:
    """Times of relabelling in milliseconds."""

    retrieve: float
    total: float


@dataclass(frozen=True)
class Segmentation:
    """A segmented image. Each pixel is in exactly one segment.

    Attributes:
        segmentation_id: its id.
        width, height: of the upright image in pixels.
        release, release_digest: the release that gave it.
        index_revision: number of the newest edit that it knows.
        classes: classes that segments could take.
        segments: the segments.
        image_id: SHA-256 of the image file.
        image_url: path of the image file; None: it is not kept.
        conversion: how values of more than 8 bits were converted; None: there was nothing to convert.
        page, pages: which page of the file it is, from 0, and how many there are.
        incomplete: what is missing, if the release is gone.
        timings_ms: times of the stages; None: the answer was not computed for this request.
        name: name of the image, as `segment` was given it. The service does not store it.
    """

    segmentation_id: str
    width: int
    height: int
    release: str
    release_digest: str | None
    index_revision: int
    classes: tuple[ClassInfo, ...]
    segments: tuple[Segment, ...]
    image_id: str | None
    image_url: str | None
    conversion: str | None
    page: int
    pages: int
    incomplete: Incomplete | None = None
    timings_ms: Timings | RelabelTimings | None = None
    name: Annotated[str | None, Wire(None)] = None

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def __len__(self) -> int:
        return len(self.segments)

    def to_label_map(
        self, value: Literal["class_id", "segment"] = "class_id", *, known_only: bool = False
    ) -> NDArray[np.int32]:
        """The label of each pixel.

        Args:
            value: class_id: the id of the pixel's class; segment: the place of its segment in `segments`.
            known_only: leave out segments that are not known.

        Returns:
            [height, width] int32; -1 where there is no class, or no segment.
        """
        if value not in ("class_id", "segment"):
            raise InputError("There is no such value of a label map.", received=value, allowed=["class_id", "segment"])
        drawn = [
            (segment.rle.counts, place if value == "segment" else segment.class_id)
            for place, segment in enumerate(self.segments)
            if segment.known or not known_only
        ]
        painted = [(counts, number) for counts, number in drawn if number is not None]
        return rle.paint(painted, (self.height, self.width), NO_CLASS)

    def to_coco(
        self, *, file_name: str | None = None, image_id: int = 1, first_id: int = 1, known_only: bool = False
    ) -> dict[str, Any]:
        """The segments that have a class as a COCO instances document, with run lengths.

        Args:
            file_name: of the image; None: its name.
            image_id: id of the image in the document.
            first_id: id of the first annotation.
            known_only: leave out segments that are not known, as `export` does.

        Returns:
            A document that `json.dump` writes and pycocotools reads. As in exports of the service, the id of a
            category is its class id + 1, because many programs take 0 as background.
        """
        segments = [one for one in self.segments if one.class_id is not None and (one.known or not known_only)]
        image = {"id": image_id, "file_name": file_name or self.name or self.segmentation_id}
        return {
            "info": {"description": f"segsort, release {self.release}"},
            "licenses": [],
            "images": [image | {"width": self.width, "height": self.height}],
            "categories": coco_categories(self.classes),
            "annotations": [_annotation(one, first_id + i, image_id) for i, one in enumerate(segments)],
        }

    def to_supervision(self, *, known_only: bool = False) -> Detections:
        """The segments as `supervision.Detections`, which needs the package supervision.

        `class_id` is -1 where there is no class. `data` has `class_name`, `segment_id` and `known`.
        """
        from supervision import Detections

        segments = [one for one in self.segments if one.known or not known_only]
        boxes = np.array([one.bbox for one in segments], dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        masks = np.zeros((len(segments), self.height, self.width), dtype=bool)
        for mask, segment in zip(masks, segments, strict=True):
            mask[:] = segment.mask
        confidence = [np.nan if one.confidence is None else one.confidence for one in segments]
        return Detections(
            xyxy=boxes,
            mask=masks,
            confidence=np.array(confidence, dtype=np.float32),
            class_id=np.array([NO_CLASS if one.class_id is None else one.class_id for one in segments], dtype=int),
            data={
                "class_name": np.array([one.class_name or "" for one in segments], dtype=str),
                "segment_id": np.array([one.segment_id for one in segments], dtype=str),
                "known": np.array([one.known for one in segments], dtype=bool),
            },
        )


def coco_categories(classes: Sequence[ClassInfo]) -> list[dict[str, Any]]:
    """Categories of a COCO document; the id of a category is its class id + 1."""
    return [{"id": one.class_id + 1, "name": one.name, "supercategory": "", "color": one.color} for one in classes]


def _annotation(segment: Segment, number: int, image_id: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": number,
        "image_id": image_id,
        "category_id": (segment.class_id or 0) + 1,
        "segmentation": segment.rle.to_dict(),
        "area": segment.area,
        "bbox": list(segment.bbox),
        "iscrowd": 0,
        "attributes": {"segment_id": segment.segment_id, "known": segment.known},
    }
    return found if segment.confidence is None else found | {"score": segment.confidence}


@dataclass(frozen=True)
class LabelChange:
    """A segment whose label is different. before_segment_id: its id in the earlier answer."""

    segment_id: str
    before_segment_id: str
    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True)
class Relabelled(Segmentation):
    """The segments of an earlier answer, labelled with the present exemplars.

    Attributes:
        relabelled_from: id of the earlier answer.
        changed: segments whose label is different.
    """

    relabelled_from: str
    changed: tuple[LabelChange, ...]


@dataclass(frozen=True)
class SegmentationSummary:
    """An answer in a list. segments: their number; marked: number of exemplars of its image; see `Segmentation`."""

    segmentation_id: str
    created: str
    width: int
    height: int
    release: str
    release_digest: str | None
    index_revision: int
    segments: int
    image_id: str | None
    image_url: str | None
    page: int
    pages: int
    pinned: bool
    marked: int
    outdated: bool
