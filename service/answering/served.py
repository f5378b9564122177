"""The release that is served: its exemplars with edits, its network, and the probe that it must pass first."""

from typing import NamedTuple

import numpy as np

from model_store.predictor import Predictor
from model_store.release import Release
from segsort.arrays import on_host
from segsort.segments import merge_small
from service.answering.answers import Shapes, compose_answer
from service.answering.limits import AnswerOptions
from service.answering.release_view import ReleaseView
from service.problems import Problem
from service.records.answered import pack
from service.records.database import Answered
from service.records.giver import gave
from service.records.live_release import LiveRelease
from service.records.packing.shapes import pack_map

PROBE = (48, 64)  # pixels, height and width
TOLERANCE = 0.01  # allowed deviation of a vector's length from 1


class ServedRelease(NamedTuple):
    """Everything that belongs to the served release, in one object, so that one assignment serves another release."""

    live: LiveRelease
    predictor: Predictor

    @property
    def release(self) -> Release:
        return self.live.release

    @property
    def name(self) -> str:
        return self.live.name

    @property
    def runs_on(self) -> str:
        """The execution provider of ONNX Runtime that runs the network, by ONNX Runtime's name."""
        provider: str = self.predictor.embedder.session.get_providers()[0]
        return provider


def check_release(served: ServedRelease, answered: Answered) -> None:
    """Refuse an operation on an answer that another release gave, or the served one before its content changed.

    Raises:
        Problem: 409 if the answer is not from the served release.
    """
    if gave(served.live, answered):
        return
    facts, again = answered.facts, f"Send POST /segmentations/{answered.facts.segmentation_id}/segment"
    other = "An earlier release of this name" if facts.release == served.name else "Another release"
    raise Problem(
        409, f"{other} gave this answer, so its prototypes cannot be compared with this release.",
        received={"release": facts.release, "release_digest": facts.release_digest},
        allowed={"release": served.name, "release_digest": served.live.digest},
        fix=f"{again}, or the image to POST /segment, and use the new answer.",
    )  # fmt: skip


def probe(served: ServedRelease) -> None:
    """Run every step of an answer on a small image of noise, but write nothing to the database.

    It finds networks that cannot be used. It also compiles and allocates everything before the first request.

    Raises:
        ValueError: if the embeddings are not unit vectors.
    """
    noise = np.random.default_rng(0).integers(0, 256, (*PROBE, 3), dtype=np.uint8)
    embeddings = served.predictor.embedder.embed(noise)
    lengths = np.linalg.norm(on_host(embeddings), axis=0)
    if not (np.abs(lengths - 1) < TOLERANCE).all():  # NaN fails this comparison too
        raise ValueError(
            f"the network of release {served.name!r} turns a probe image into vectors of length "
            f"{float(lengths.min()):.3g} to {float(lengths.max()):.3g}; they must be unit vectors: export it again"
        )
    found = served.predictor.sort(embeddings, PROBE)
    view = ReleaseView.current(served.live)
    labels = served.predictor.retrieve(found.prototypes, found.areas, state=view.state)
    composed = compose_answer(view, Shapes.of_segments(found), labels, AnswerOptions())
    pack(composed.segments, PROBE, composed.retrieved, pack_map(found.labels, found.prototypes))
    merge_small(noise[:, :, 0].astype(np.int32), 4)  # an image of noise may have no small component
