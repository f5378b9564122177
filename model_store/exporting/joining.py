"""Joining of segments: touching ones of a class become one region, such as a nucleus that consists of several."""

from collections.abc import Sequence

import cc3d
import numpy as np

from model_store.exporting.results import ExportImage, ExportSegment


def joined(image: ExportImage) -> ExportImage:
    """Join touching segments of one class to regions.

    Pixels touch if they share an edge. A segment of several pieces may belong to several regions. Segments that are
    unknown, or have no class, stay as they are.

    Returns:
        The image with its regions, in the order of their first pixels, then the other segments. A region has the
        exemplars of the segment with most of its pixels, and the mean confidence of its segments, weighted by their
        pixels; None if one of them has none.
    """
    segments = image.segments
    classes = np.array([0, *(_class_value(segment) for segment in segments)], dtype=np.uint32)
    regions = cc3d.connected_components(classes[image.labels + 1], connectivity=4).astype(np.int64)
    count = int(regions.max(initial=0))
    pairs, pixels = np.unique(regions * len(classes) + image.labels + 1, return_counts=True)
    of_region, of_segment = pairs // len(classes), pairs % len(classes) - 1
    found = [
        _region(number, segments, of_segment[of_region == number].tolist(), pixels[of_region == number])
        for number in range(1, count + 1)
    ]
    others = [n for n, segment in enumerate(segments) if not _class_value(segment)]
    places = np.full(len(segments) + 1, -1, dtype=np.int32)
    places[np.array(others, dtype=np.int64) + 1] = np.arange(len(others), dtype=np.int32) + count
    labels = np.where(regions > 0, regions - 1, places[image.labels + 1]).astype(np.int32)
    return image._replace(labels=labels, segments=[*found, *(segments[n] for n in others)])


def _class_value(segment: ExportSegment) -> int:
    """1 and more for a known class, 0 for no class."""
    return segment.class_id + 1 if segment.known and segment.class_id is not None else 0


def _region(number: int, segments: Sequence[ExportSegment], members: list[int], pixels: np.ndarray) -> ExportSegment:
    """The region of some segments. number: from 1; pixels: of each member in the region."""
    largest = segments[members[int(pixels.argmax())]]
    confidences = [segments[member].confidence for member in members]
    measured = [confidence for confidence in confidences if confidence is not None]
    mean = float(np.average(measured, weights=pixels)) if len(measured) == len(members) else None
    answer = largest.segment_id.rpartition("-")[0]
    return largest._replace(segment_id=f"{answer}-joined-{number}", confidence=mean)
