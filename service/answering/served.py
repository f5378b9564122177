"""The release that is served: its exemplars with edits, its network, and the probe that it must pass first."""

from typing import NamedTuple

import numpy as np

from model_store.predictor import Predictor
from model_store.release import Release
from segsort.segments import merge_small
from service.answering.answers import Shapes, compose_answer
from service.answering.limits import AnswerOptions
from service.answering.release_view import ReleaseView
from service.problems import Problem
from service.records.database import Answered
from service.records.live_release import LiveRelease

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
    """Refuse an operation on an answer that another release gave.

    Raises:
        Problem: 409 if the answer is not from the served release.
    """
    if answered.facts.release != served.name:
        raise Problem(
            409, "Another release gave this answer, so its prototypes cannot be compared with this release.",
            received=answered.facts.release, allowed=served.name,
            fix="Send the image to POST /segment again.",
        )  # fmt: skip


def probe(served: ServedRelease) -> None:
    """Run every step of an answer but the recording on a small image of noise.

    It finds networks that cannot be used. It also compiles and allocates everything before the first request.

    Raises:
        ValueError: if the embeddings are not unit vectors.
    """
    noise = np.random.default_rng(0).integers(0, 256, (*PROBE, 3), dtype=np.uint8)
    embeddings = served.predictor.embedder.embed(noise)
    lengths = embeddings.norm(dim=0)
    if not bool(((lengths - 1).abs() < TOLERANCE).all()):  # NaN fails this comparison too
        raise ValueError(
            f"the network of release {served.name!r} turns a probe image into vectors of length "
            f"{float(lengths.min()):.3g} to {float(lengths.max()):.3g}; they must be unit vectors: export it again"
        )
    found = served.predictor.sort(embeddings, PROBE)
    view = ReleaseView.current(served.live)
    labels = served.predictor.retrieve(found.prototypes, found.areas, state=view.state)
    compose_answer(view, Shapes.of_segments(found), labels, AnswerOptions())
    merge_small(noise[:, :, 0].astype(np.int32), 4)  # an image of noise may have no small component
