"""Joined segments: regions of a class whose pixels share edges, against a flood fill pixel by pixel."""

import json

import numpy as np
import pytest

from model_store.exporting import ExportImage, ExportOptions, ExportSegment, combined
from model_store.exporting.joining import joined
from tests.model_store.exporting.samples import CLASSES, blobs

SEGMENTS = [
    ExportSegment("a-0", 0, 0.9, True, ("e0",)),
    ExportSegment("a-1", 0, 0.5, True, ("e1",)),
    ExportSegment("a-2", 1, 0.8, True),
    ExportSegment("a-3", 1, None, True),
    ExportSegment("a-4", 3, 0.7, True),
    ExportSegment("a-5", 0, None, False),  # unknown: its class counts for nothing
    ExportSegment("a-6", None, None, False),
]


def flooded(classes: np.ndarray) -> np.ndarray:
    """The number of each pixel's region, from 0 in the order of first pixels; -1: no class."""
    found = np.full(classes.shape, -1)
    for y, x in np.argwhere(classes >= 0).tolist():
        if found[y, x] >= 0:
            continue
        number, waiting = found.max() + 1, [(y, x)]
        while waiting:
            row, column = waiting.pop()
            if found[row, column] >= 0 or classes[row, column] != classes[y, x]:
                continue
            found[row, column] = number
            near = ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1))
            waiting += [(r, c) for r, c in near if 0 <= r < classes.shape[0] and 0 <= c < classes.shape[1]]
    return found


@pytest.mark.parametrize("seed", range(4))
def test_regions_are_the_touching_pixels_of_one_known_class(seed: int) -> None:
    labels = blobs(seed, (31, 44))
    result = joined(ExportImage("photo.png", labels, SEGMENTS, "image"))
    class_ids = np.array([0, 0, 1, 1, 3, -1, -1, -1])  # of segments, the last of pixels without a segment
    wanted = flooded(class_ids[labels])
    count = wanted.max() + 1
    assert (np.where(wanted >= 0, result.labels, -1) == wanted).all()
    assert [one.segment_id for one in result.segments[count:]] == ["a-5", "a-6"]
    assert (result.labels[labels == 5] == count).all()
    assert (result.labels[labels == -1] == -1).all()
    for number in range(count):
        members, pixels = np.unique(labels[wanted == number], return_counts=True)
        region, parts = result.segments[number], [SEGMENTS[n] for n in members]
        assert region.class_id == parts[0].class_id
        assert region.exemplars == parts[int(pixels.argmax())].exemplars
        shares = [one.confidence for one in parts]
        mean = None if None in shares else pytest.approx(np.average(np.array(shares, dtype=float), weights=pixels))
        assert region.confidence == mean
    assert len({one.segment_id for one in result.segments}) == len(result.segments)


def test_an_image_without_a_known_segment_stays_as_it_is() -> None:
    labels = np.array([[0, 0, -1], [1, 1, 1]], dtype=np.int32)
    unknown = [ExportSegment("a-0", None, None, False), ExportSegment("a-1", 2, None, False)]
    result = joined(ExportImage("photo.png", labels, unknown, "image"))
    assert (result.labels == labels).all()
    assert list(result.segments) == unknown


def test_two_touching_segments_are_one_object_of_an_export() -> None:
    labels = np.array([[0, 0, 1, 1], [2, 2, 2, 2]], dtype=np.int32)
    image = ExportImage("photo.png", labels, SEGMENTS[:3], "image")
    found = [
        json.loads(combined("coco", [image], CLASSES, ExportOptions(join=join)).content)["annotations"]
        for join in (False, True)
    ]
    assert [len(one) for one in found] == [3, 2]
    assert sorted(one["area"] for one in found[1]) == [4, 4]
