"""Editing without HTTP: a real database, follower and release, and answers recorded by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from model_store.predictor import Predictor
from model_store.release import Release
from segsort.masks import encode_rle
from service.answering.served import ServedRelease
from service.editing.curation import Curation
from service.records.database import Record, RecordedNeighbours, Records
from service.records.follower import Author, Follower
from service.records.image_store import ImageFile
from service.records.live_release import LiveRelease

ANNA = Author("anna", "because")


@dataclass
class Editing:
    """A database with a follower, and a release that is edited."""

    records: Records
    follower: Follower
    served: ServedRelease

    @property
    def live(self) -> LiveRelease:
        return self.served.live

    @property
    def curation(self) -> Curation:
        return Curation(self.follower, self.served, self.records.images)

    def answer(self, name: str, rows: list[int], image: ImageFile | None = None) -> list[Record]:
        """Record an answer with a segment for each row: its prototype is that of the exemplar, its label the vote's."""
        state = self.live.state
        prototypes, k = state.prototypes(np.array(rows)), state.release.card.retrieval.k
        cosines, found = state.search(prototypes, k)
        labels = state.vote(cosines, found)
        masks = encode_rle(np.repeat(np.arange(len(rows)), 2)[None], len(rows))
        segments = [
            {
                "class_id": int(labels.class_ids[n]), "share": 1.0, "confidence": 1.0, "known": True, "area": 2,
                "bbox": [2 * n, 0, 2, 1], "counts": masks[n],
            }
            for n in range(len(rows))
        ]  # fmt: skip
        ids = [state.ids(row) for row in found]
        unique = list(dict.fromkeys(one for row in ids for one in row))
        places = np.array([[unique.index(one) for one in row] for row in ids], np.int32)
        facts = {
            "segmentation_id": name, "width": 2 * len(rows), "height": 1, "release": self.live.name,
            "release_path": str(state.release.path), "release_digest": self.live.digest,
            "index_revision": state.revision, "k": k, "kappa": state.release.card.retrieval.kappa,
            "image_similarity": 1.0, "image_id": None if image is None else image.image_id, "author": None,
        }  # fmt: skip
        self.records.add(facts, segments, RecordedNeighbours(prototypes, unique, places, cosines), image)
        answered = self.records.answer(name)
        assert answered is not None
        return [answered.record(n) for n in range(len(rows))]


@pytest.fixture(scope="session")
def predictor(tiny_release: Path) -> Predictor:
    return Predictor(Release.open(tiny_release), threads=1)


@pytest.fixture
def editing(tmp_path: Path, predictor: Predictor) -> Iterator[Editing]:
    records = Records(f"sqlite:///{tmp_path / 'a.sqlite'}", 1_000_000)
    follower, live = Follower(records.engine), LiveRelease.of(predictor.as_built)
    follower.follow(live)
    yield Editing(records, follower, ServedRelease(live, predictor))
    records.close()
