"""What is served: a release with its edits and its network, and the probe that it must pass first."""

from typing import NamedTuple

import numpy as np

from model_store.predictor import Predictor
from model_store.release import Release
from segsort.segments import join_specks
from service.answering.answers import At, Form, Shapes, describe
from service.records.follower import LiveRelease

PROBE = (48, 64)  # pixels, height and width
TOLERANCE = 0.01  # of the length of a unit vector


class Served(NamedTuple):
    """Everything that belongs to the release that is served, so that another one is served by one swap."""

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
        """What ONNX Runtime runs the network on, by its own name."""
        provider: str = self.predictor.embedder.session.get_providers()[0]
        return provider


def probe(served: Served) -> None:
    """Go the whole way of an answer but for the record: everything is compiled and allocated before the first caller.

    Raises:
        ValueError: if what comes of it cannot be an answer.
    """
    noise = np.random.default_rng(0).integers(0, 256, (*PROBE, 3), dtype=np.uint8)
    embeddings = served.predictor.embedder.embed(noise)
    lengths = embeddings.norm(dim=0)
    if not bool(((lengths - 1).abs() < TOLERANCE).all()):  # NaN is no unit vector either
        raise ValueError(
            f"the network of release {served.name!r} turns a probe image into vectors of length "
            f"{float(lengths.min()):.3g} to {float(lengths.max()):.3g}; they must be unit vectors: export it again"
        )
    found = served.predictor.sort(embeddings, PROBE)
    at = At.now(served.live)
    labelled = served.predictor.retrieve(found.prototypes, found.areas, state=at.state)
    describe(at, Shapes.of_segments(found), labelled, Form())
    join_specks(noise[:, :, 0].astype(np.int32), 4)  # which the picture may not have had
    at.state.warm()  # what a search after the first edit takes
