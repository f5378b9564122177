"""Classes that the network never saw, from three labelled images each, while the service runs: nothing is trained.

Labelled images are sent to a running service, it is asked about other images, and the new class's IoU is measured.
What was added is taken back after each measurement. Without --address a service is started for it.

python -m examples.new_class [--address http://localhost:8000] [--key KEY] [--measured 10] [--only NAME ...] [--out DIR]
"""

import argparse
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import report
from examples.client import Client, Labelled, connected
from examples.new_things import NEW, THINGS, paint
from examples.photographs import COLLECTIONS
from index_builder.datasets.camvid import CLASSES


@dataclass(frozen=True)
class Subject:
    """What is taught.

    Attributes:
        name: what the images are called.
        names: the new classes, by their number in the masks.
        labelled: images to label.
        measured: others to measure on.
        known: classes of the masks that the service knows already, by number: what should not get worse.
    """

    name: str
    names: Mapping[int, str]
    labelled: Sequence[Labelled]
    measured: Sequence[Labelled]
    known: Mapping[int, str]


class Way(NamedTuple):
    """How a class is taught and asked for; the defaults are what a caller gets who asks for nothing.

    images: how many are labelled; masks: whether by their masks; corrected: whether what is then still answered wrongly
    in them is corrected, segment by segment; segments: K of pixel sorting where masks are shown; k: voters in the
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
    """Painted streets with something new in them, and photographs.

    Args:
        measured: painted streets that each thing is measured on; those to label come on top.
        only: keys of `THINGS` and `COLLECTIONS`; none: all.
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
    """IoU of all classes on the measured images, by number, while the new ones are there."""
    revisions: list[int] = []
    try:
        for labelled in subject.labelled[: way.images]:
            revisions += client.teach(labelled, subject.names, way.segments) if way.masks else []
        for labelled in subject.labelled[: way.images]:
            revisions += client.correct(labelled, subject.names) if way.corrected else []
        return ious(client, subject, way.k)
    finally:
        client.take_back(revisions)


def ious(client: Client, subject: Subject, k: int | None) -> dict[int, float]:
    """IoU over all measured images, by number; pixels of no class do not count, and a class that is not there has 0."""
    names, there = {**subject.known, **subject.names}, client.class_ids()
    both, either = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for image, mask in subject.measured:
        told = client.class_map(image, k)
        scored = np.isin(mask, list(names))
        for number, name in names.items():
            found, true = (told == there.get(name, -1)) & scored, mask == number
            both[number] += int((found & true).sum())
            either[number] += int((found | true).sum())
    return {number: both[number] / either[number] for number in names if either[number]}


def compare(client: Client, subject: Subject) -> list[dict[str, Any]]:
    """A row for each new class: its IoU before and after each way, and what the worst way did to the known classes."""
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


def main() -> None:
    """Teach, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="of a running service; without it one is started")
    parser.add_argument("--key", help="a curator's, where the service asks for keys")
    parser.add_argument("--measured", type=int, default=10, help="painted streets that each thing is measured on")
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
