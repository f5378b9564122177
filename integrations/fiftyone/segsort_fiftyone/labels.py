"""Answers as labels of FiftyOne, and corrected labels as marks."""

from __future__ import annotations

from collections.abc import Iterable

import fiftyone as fo
import numpy as np

from segsort_client import Segment, Segmentation
from segsort_client.results.base import ClassInfo


def detections_of(answer: Segmentation, *, known_only: bool = False) -> fo.Detections:
    """The segments that have a class as instances with masks.

    Each has the attributes `segment_id`, `known` and `predicted`: the class that it had, so that a label that was
    changed is found again.

    Args:
        answer: an answer with run lengths.
        known_only: leave out segments that are unlike all exemplars.
    """
    segments = [one for one in answer if one.class_name is not None and (one.known or not known_only)]
    return fo.Detections(detections=[_detection(one, answer.width, answer.height) for one in segments])


def segmentation_of(answer: Segmentation, *, known_only: bool = False) -> fo.Segmentation:
    """The labels of all pixels: class id + 1, because 0 is the background in FiftyOne. See `mask_targets`."""
    labels = answer.to_label_map(known_only=known_only) + 1
    return fo.Segmentation(mask=labels.astype(np.uint8 if labels.max() < 256 else np.uint16))


def mask_targets(classes: Iterable[ClassInfo]) -> dict[int, str]:
    """The names of the values of `segmentation_of`, for `dataset.default_mask_targets`."""
    return {one.class_id + 1: one.name for one in classes}


def corrections(detections: fo.Detections) -> list[tuple[str, str]]:
    """Segment ids and class names of the detections whose label was changed."""
    found = [
        (one.get_attribute_value("segment_id", None), one.get_attribute_value("predicted", None), one.label)
        for one in detections.detections
    ]
    return [
        (segment_id, label) for segment_id, predicted, label in found if segment_id and label and label != predicted
    ]


def _detection(segment: Segment, width: int, height: int) -> fo.Detection:
    x, y, w, h = segment.bbox
    return fo.Detection(
        label=segment.class_name,
        bounding_box=[x / width, y / height, w / width, h / height],
        mask=segment.mask[y : y + h, x : x + w],
        confidence=segment.confidence,
        segment_id=segment.segment_id,
        known=segment.known,
        predicted=segment.class_name,
    )
