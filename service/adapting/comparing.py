"""Two releases on the same stored images: their labels, how far they agree, and mIoU on marked pixels."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from model_store.predictor import Predictor
from segsort.masks import decode_rle, encode_rle
from segsort.retrieval import NO_CLASS
from service.answering.engine import Engine
from service.answering.served import ServedRelease
from service.problems import Problem
from service.records.image_store import ImageFile
from service.records.live_release import LiveRelease

UNKNOWN = ""  # name of what has no label


class Labelled(NamedTuple):
    """Labels of one image by one release: [H, W] positions in `names`, the first of which is UNKNOWN; colours."""

    labels: np.ndarray
    names: list[str]
    colors: list[str]


class Overlap(NamedTuple):
    """Marked pixels of one class in one image: marked with it, labelled so, and both."""

    marked: int
    labelled: int
    both: int


class Side(NamedTuple):
    """What one release said of an image. labels: JSON, see `_side_json`; overlaps: by name of a class."""

    labels: list[dict[str, Any]]
    overlaps: dict[str, Overlap]


class Compared(NamedTuple):
    """One image: (H, W), how many of its pixels have the same name from both or none, and how many are marked."""

    size: tuple[int, int]
    agreeing: int
    marked: int
    a: Side
    b: Side


class Comparison:
    """Two open releases. The network of one that is not served is in memory while this object is.

    Args:
        engine: of the service.
        a, b: names of the releases.

    Raises:
        Problem: 404 if there is no such release; 410 or 422 if it cannot be opened.
    """

    def __init__(self, engine: Engine, a: str, b: str) -> None:
        self._engine = engine
        self.a, self.b = (_opened(engine, name) for name in (a, b))

    def decode(self, file: ImageFile) -> None:
        """Decode an image as both releases need it, for `compare`, see `service.images.decode.kept_ahead`."""
        for served in (self.a, self.b):
            self._engine.decode(file.content, served)

    def compare(self, file: ImageFile) -> Compared:
        """Label an image with both releases, as they would answer it, with all their edits.

        The result holds no arrays of the size of the image, so those of many images fit into memory.
        """
        a, b = (self._label(served, file) for served in (self.a, self.b))
        names: list[str] = []
        marked = np.full(a.labels.shape, -1, dtype=np.int32)
        for served in (self.a, self.b):
            _draw_marks(served.live, file, marked, names)
        left, right = (Side(_side_json(side), _overlaps(side, marked, names)) for side in (a, b))
        H, W = a.labels.shape
        return Compared((H, W), _agreeing(a, b), int((marked >= 0).sum()), left, right)

    def _label(self, served: ServedRelease, file: ImageFile) -> Labelled:
        engine = self._engine
        sized = engine.decode(file.content, served)
        found = engine.embed(sized, None, served)[1]
        state = served.live.state
        if state.has_exemplars_of_one_image:
            state = state.for_image(file.image_id)
        voted = served.predictor.retrieve(found.prototypes, found.areas, state=state)
        names, colors = [UNKNOWN], ["#888888"]
        numbers = np.zeros(len(found.areas), dtype=np.int32)
        for segment, class_id in enumerate(voted.vote.class_ids.tolist()):
            if class_id == NO_CLASS or not voted.known[segment]:
                continue
            info = state.classes[class_id]
            if info.name not in names:
                names.append(info.name)
                colors.append("#{:02x}{:02x}{:02x}".format(*info.color))
            numbers[segment] = names.index(info.name)
        return Labelled(numbers[found.labels], names, colors)


class Comparisons:
    """Compares releases, one comparison at a time, so that at most two networks more are in memory."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._busy = engine, threading.Lock()

    @contextmanager
    def comparing(self, a: str, b: str) -> Iterator[Comparison]:
        """Open two releases for the block.

        Raises:
            Problem: 409 during another comparison; what `Comparison` raises.
        """
        if not self._busy.acquire(blocking=False):
            raise Problem(
                409, "Two other releases are being compared.", received=[a, b], allowed="one comparison at a time",
                fix="Send it again in a few seconds.",
            )  # fmt: skip
        try:
            yield Comparison(self._engine, a, b)
        finally:
            self._busy.release()


def miou(sides: Sequence[Side]) -> float | None:
    """mIoU of a release on the marked pixels of all images together; None if no pixel is marked.

    The mean is over the classes of marks in any image. A pixel without a label is a miss of its class.
    """
    found: dict[str, list[Overlap]] = {}
    for side in sides:
        for name, overlap in side.overlaps.items():
            found.setdefault(name, []).append(overlap)
    totals = [Overlap(*map(sum, zip(*parts, strict=True))) for parts in found.values()]
    scores = [one.both / (one.marked + one.labelled - one.both) for one in totals if one.marked]
    return sum(scores) / len(scores) if scores else None


def _agreeing(a: Labelled, b: Labelled) -> int:
    """Number of pixels to which both releases give the same name, or both none."""
    names = list(dict.fromkeys([*a.names, *b.names]))
    left, right = (np.array([names.index(name) for name in side.names])[side.labels] for side in (a, b))
    return int((left == right).sum())


def _overlaps(side: Labelled, marked: np.ndarray, names: Sequence[str]) -> dict[str, Overlap]:
    """The marked pixels of each class that is marked or labelled; names: of the marks, by their number in `marked`."""
    seen = marked >= 0
    true, labelled = marked[seen], side.labels[seen]
    found = {}
    for name in dict.fromkeys([*names, *side.names[1:]]):
        is_true = true == (names.index(name) if name in names else -2)
        is_labelled = labelled == (side.names.index(name) if name in side.names else -1)
        found[name] = Overlap(int(is_true.sum()), int(is_labelled.sum()), int((is_true & is_labelled).sum()))
    return found


def _side_json(side: Labelled) -> list[dict[str, Any]]:
    """The labels of one release: a mask for each class, the largest first; null for what has no label."""
    H, W = side.labels.shape
    areas = np.bincount(side.labels.ravel(), minlength=len(side.names))
    masks = encode_rle(side.labels, len(side.names))
    return [
        {
            "class_name": side.names[n] or None,
            "color": side.colors[n],
            "area": int(areas[n]),
            "mask": {"size": [H, W], "counts": masks[n]},
        }
        for n in np.argsort(-areas, kind="stable").tolist()
        if areas[n]
    ]


def _draw_marks(live: LiveRelease, file: ImageFile, marked: np.ndarray, names: list[str]) -> None:
    """Draw the exemplars of an image that edits added to a release; later ones cover earlier ones."""
    state = live.state
    for one in state.added_to_image(file.image_id):
        if (one.height, one.width) != marked.shape:
            continue
        name = state.classes[one.class_id].name
        if name not in names:
            names.append(name)
        marked[decode_rle(one.mask, (one.height, one.width))] = names.index(name)


def _opened(engine: Engine, name: str) -> ServedRelease:
    """A release with its network: the served one, or one that is opened."""
    served = engine.served
    if name == served.name:
        return served
    known = {one.name: one.path for one in engine.catalogue.store.list()}
    if name not in known and engine.catalogue.opened(name) is None:
        raise Problem(
            404, "There is no such release.", received=name[:200], allowed=sorted({*known, served.name}),
            fix="Take the names from GET /releases.",
        )  # fmt: skip
    live = engine.catalogue.find(name)
    settings = engine.settings
    try:
        return ServedRelease(live, Predictor(live.release, settings.device, settings.threads, settings.precision))
    except (ValueError, RuntimeError) as error:
        raise Problem(
            422, f"The release {name!r} cannot be opened.", received=str(error)[:300],
            fix="Build or copy the release again.",
        ) from error  # fmt: skip
