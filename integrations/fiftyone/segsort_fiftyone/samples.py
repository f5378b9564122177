"""Segments samples, and teaches by the labels that were changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import fiftyone as fo

from segsort_client import Client
from segsort_fiftyone.labels import corrections, detections_of

ERROR = "{}_error"  # field of the reason why a sample has no answer


def segment_samples(
    client: Client, samples: Iterable[fo.Sample], field: str = "segsort", *, workers: int = 8, known_only: bool = False
) -> int:
    """Segment the images of samples, several at once, and store the segments as detections.

    Args:
        client: of the service.
        samples: a dataset, a view, or samples.
        field: of the detections. A sample that cannot be segmented gets the reason in the field `FIELD_error`.
        workers: images that are sent at once.
        known_only: leave out segments that are unlike all exemplars.

    Returns:
        The number of samples that were segmented.
    """
    waiting: deque[fo.Sample] = deque()
    done = 0

    def paths() -> Iterator[str]:
        for sample in samples:
            waiting.append(sample)
            yield sample.filepath

    for result in client.segment_many(paths(), workers=workers):
        sample = waiting.popleft()
        if result.segmentation is None:
            sample[ERROR.format(field)] = str(result.error)
        else:
            sample[field] = detections_of(result.segmentation, known_only=known_only)
            done += 1
        if sample.in_dataset:
            sample.save()
    return done


def teach(client: Client, samples: Iterable[fo.Sample], field: str = "segsort", *, reason: str = "FiftyOne") -> int:
    """Send the labels of segments that were changed, of all samples in one edit. The next answers use them.

    Args:
        client: of the service, with the key of a curator where the service asks for keys.
        samples: a dataset, a view, or samples.
        field: of the detections.
        reason: why, for the log of edits.

    Returns:
        The number of segments whose label was changed.
    """
    pairs = [
        pair for sample in samples if sample.has_field(field) and sample[field] for pair in corrections(sample[field])
    ]
    if pairs:
        client.label_many(pairs, reason=reason)
    return len(pairs)
