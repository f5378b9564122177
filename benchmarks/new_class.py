"""Teaches a running service new classes from three labelled images each, without training.

Labelled images are sent to the service. It then segments other images, and the IoU of the new class is measured. The
added exemplars are removed after each measurement. Without --address a service is started.

python -m benchmarks.new_class [--address http://localhost:8000] [--key KEY]
                              [--measured 10] [--only NAME ...] [--out DIR]
"""

import argparse
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import report
from benchmarks.new_things import NEW, THINGS, paint
from benchmarks.photograph_collections import COLLECTIONS
from benchmarks.running_service import running_service
from model_store.labelled import CAMVID_CLASSES as CLASSES
from segsort_client import Client


class Labelled(NamedTuple):
    """An image and the class of each pixel."""

    image: np.ndarray  # [H, W, 3] uint8, RGB
    mask: np.ndarray  # [H, W] uint8, class numbers


@dataclass(frozen=True)
class Subject:
    """New classes to teach, with images.

    Attributes:
        name: name of the images.
        names: names of the new classes, by their number in the masks.
        labelled: images to label.
        measured: other images to measure on.
        known: classes of the masks that the service already has, by number. They should not get worse.
    """

    name: str
    names: Mapping[int, str]
    labelled: Sequence[Labelled]
    measured: Sequence[Labelled]
    known: Mapping[int, str]


class Way(NamedTuple):
    """A way to teach a class. The defaults are those of the service.

    images: number of labelled images; masks: whether they are taught by their masks; corrected: whether segments that
    are still wrong are then corrected one by one; segments: K of pixel sorting for teaching; k: number of voters in the
    measured images.
    """

    images: int = 3
    masks: bool = True
    corrected: bool = False
    segments: int | None = None
    k: int | None = None


WAYS = {
    "3": Way(),
    "3 K256": Way(segments=256),
    "3 k5": Way(k=5),
    "3 both": Way(segments=256, k=5),
    "3 fix": Way(masks=False, corrected=True),
    "3 all": Way(corrected=True, segments=256, k=5),
    "10": Way(images=10),
    "10 both": Way(images=10, segments=256, k=5),
    "10 all": Way(images=10, corrected=True, segments=256, k=5),
}


def subjects(measured: int, only: Collection[str] = ()) -> Iterator[Subject]:
    """Painted streets with new objects, and photographs.

    Args:
        measured: number of painted streets to measure each object on, besides those to label.
        only: keys of `THINGS` and `COLLECTIONS`; empty: all.
    """
    most = max(way.images for way in WAYS.values())
    known = {info.class_id: info.name for info in CLASSES}
    for thing in (thing for thing in THINGS if not only or thing in only):
        images = [Labelled(*paint(thing, number)) for number in range(most + measured)]
        yield Subject(f"streets with a {thing}", {NEW: thing}, images[:most], images[most:], known)
    for name in (name for name in COLLECTIONS if not only or name in only):
        found = COLLECTIONS[name]()
        labelled, others = ([Labelled(*crop) for crop in crops] for crops in (found.labelled, found.measured))
        yield Subject(name, dict(enumerate(found.classes)), labelled, others, {})


def measure(client: Client, subject: Subject, way: Way) -> dict[int, float]:
    """Teach the new classes, compute the IoU of all classes on the measured images, and revert the edits."""
    revisions: list[int] = []
    try:
        for labelled in subject.labelled[: way.images]:
            revisions += teach(client, labelled, subject.names, way.segments) if way.masks else []
        for labelled in subject.labelled[: way.images]:
            revisions += correct(client, labelled, subject.names) if way.corrected else []
        return ious(client, subject, way.k)
    finally:
        for revision in reversed(revisions):
            client.revert(revision, reason="end of a measurement")


def teach(client: Client, labelled: Labelled, names: Mapping[int, str], segments: int | None = None) -> list[int]:
    """Add the labelled pixels of an image as exemplars.

    Args:
        client: of the service.
        labelled: the image and its mask.
        names: class name of each number of the mask; other pixels are skipped. A new name creates a class.
        segments: K of pixel sorting; None: that of the release.

    Returns:
        The numbers of the edits.
    """
    added = client.add_exemplar(labelled.image, mask=labelled.mask, classes=names, segments=segments)
    return [] if added.edit is None else [added.edit.revision]


def correct(client: Client, labelled: Labelled, names: Mapping[int, str]) -> list[int]:
    """Segment an image and correct wrong labels.

    A segment is corrected if one named class covers more than half of it and its label is another class.

    Args:
        client: of the service.
        labelled: the image and its mask.
        names: class name of each number of the mask.

    Returns:
        The numbers of the edits.
    """
    revisions = []
    for segment in client.segment(labelled.image):
        inside = labelled.mask[segment.mask]
        numbers, counts = np.unique(inside, return_counts=True)
        number = int(numbers[counts.argmax()])
        wrong = names.get(number, segment.class_name) != segment.class_name
        if wrong and counts.max() > len(inside) / 2:
            edited = client.label(segment, names[number], relabel=False)
            revisions += [] if edited.edit is None else [edited.edit.revision]
    return revisions


def ious(client: Client, subject: Subject, k: int | None) -> dict[int, float]:
    """IoU of each class over all measured images, by number.

    Pixels without a class do not count. A class that the service does not have gets 0.
    """
    names, class_ids = {**subject.known, **subject.names}, {one.name: one.class_id for one in client.classes()}
    both, either = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for image, mask in subject.measured:
        class_map = client.segment(image, k=k).to_label_map()
        scored = np.isin(mask, list(names))
        for number, name in names.items():
            found, true = (class_map == class_ids.get(name, -2)) & scored, mask == number
            both[number] += int((found & true).sum())
            either[number] += int((found | true).sum())
    return {number: both[number] / either[number] for number in names if either[number]}


def compare(client: Client, subject: Subject) -> list[dict[str, Any]]:
    """A row for each new class: its IoU before and after each way, and the largest loss of the known classes."""
    ways = {name: way for name, way in WAYS.items() if way.images <= len(subject.labelled)}
    before = {k: ious(client, subject, k) for k in {way.k for way in ways.values()}}
    after = {name: measure(client, subject, way) for name, way in ways.items()}
    known = [number for number in subject.known if number in before[None]]
    changes = [np.mean([after[name][n] - before[way.k][n] for n in known]) for name, way in ways.items() if known]
    return [
        {
            "class": name,
            "before": before[None][number],
            **{way: after[way][number] if way in after else "-" for way in WAYS},
            "others": float(min(changes)) if changes else "-",
        }
        for number, name in subject.names.items()
    ]


@contextmanager
def connected(address: str | None, key: str | None) -> Iterator[Client]:
    """A client of the service at an address; without one, of a service that runs until the block ends."""
    if address is not None:
        with Client(address, key) as client:
            yield client
        return
    with (
        tempfile.TemporaryDirectory() as data,
        running_service(Path(data)) as started,
        Client(started, key) as client,
    ):
        yield client


def main() -> None:
    """Teach, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="address of a running service; without it one is started")
    parser.add_argument("--key", help="key of a curator, if the service requires keys")
    parser.add_argument("--measured", type=int, default=10, help="painted streets to measure each object on")
    parser.add_argument("--only", nargs="+", default=[], choices=[*THINGS, *COLLECTIONS])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with connected(arguments.address, arguments.key) as client:
        for subject in subjects(arguments.measured, arguments.only):
            print(subject.name, file=sys.stderr)
            rows += compare(client, subject)
    details = {name: way._asdict() for name, way in WAYS.items()} | {"measured": arguments.measured}
    report("new_class", rows, details, arguments.out)


if __name__ == "__main__":
    main()
