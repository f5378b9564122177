"""Drives the integration with FiftyOne: segment samples, change a label, teach.

python integrations/fiftyone/tests/drive_fiftyone.py ADDRESS IMAGE, in an environment with FiftyOne and the integration.

The samples are in memory, since datasets need MongoDB. With a database (FIFTYONE_DATABASE_URI) a dataset is used, too.
"""

import os
import sys
from pathlib import Path

import fiftyone as fo
import numpy as np

from segsort_client import Client
from segsort_fiftyone import corrections, detections_of, mask_targets, segment_samples, segmentation_of, teach


def samples_of(image: str) -> list[fo.Sample]:
    """Two samples, of which one has no file."""
    return [fo.Sample(filepath=image), fo.Sample(filepath=str(Path(image).with_name("missing.png")))]


def drive(client: Client, image: str, samples: fo.Dataset | list[fo.Sample]) -> None:
    """Segment, change one label and teach; a step that does not do what it should ends the program."""
    assert segment_samples(client, samples) == 1
    first, second = list(samples)
    assert "no such image file" in second["segsort_error"]
    found, answer = first["segsort"], client.segment(image)
    assert len(found.detections) == len(answer)
    for detection, segment in zip(found.detections, answer, strict=True):
        assert detection.label == detection["predicted"] == segment.class_name
        x, y, w, h = np.rint(np.array(detection.bounding_box) * ([answer.width, answer.height] * 2)).astype(int)
        assert (x, y, w, h) == segment.bbox
        assert detection.mask.sum() == segment.area
        assert (detection.mask == segment.mask[y : y + h, x : x + w]).all()
    assert corrections(found) == []
    assert teach(client, samples) == 0
    found.detections[0].label = "moss"
    if first.in_dataset:
        first.save()
    assert teach(client, samples) == 1
    assert any(one.class_name == "moss" for one in client.segment(image))
    client.undo()


def main(address: str, image: str) -> None:
    """Drive the integration over a service."""
    with Client(address) as client:
        drive(client, image, samples_of(image))
        answer = client.segment(image)
        labels, names = segmentation_of(answer).mask, mask_targets(answer.classes)
        for segment in answer:
            assert {names[number] for number in np.unique(labels[segment.mask])} == {segment.class_name}
        known = detections_of(answer, known_only=True).detections
        assert len(known) == sum(one.known for one in answer)
        if os.environ.get("FIFTYONE_DATABASE_URI"):
            dataset = fo.Dataset()
            dataset.add_samples(samples_of(image))
            drive(client, image, dataset)
            dataset.delete()
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
