"""The exemplars of an audit as arrays."""

from typing import NamedTuple

import numpy as np

from model_store.live import LiveExemplars

_FEWEST_IMAGES = 3  # with fewer, exemplars of the same image are compared too


class Material(NamedTuple):
    """The n exemplars of a release that are audited: alive ones that vote in every image.

    Attributes:
        rows: [n] int64, their rows in the live state.
        prototypes: [n, D] float32 unit vectors.
        class_ids: [n] int64, 0..C-1.
        images: [n] int64, equal for exemplars of one image.
        strengths: [n] float32, above 0.
        num_classes: C.
        k: number of exemplars that vote.
        kappa: concentration of the vote.
    """

    rows: np.ndarray
    prototypes: np.ndarray
    class_ids: np.ndarray
    images: np.ndarray
    strengths: np.ndarray
    num_classes: int
    k: int
    kappa: float

    @classmethod
    def of(cls, state: LiveExemplars) -> "Material":
        """The exemplars of a state that vote in every image, in the order of their rows."""
        rows, retrieval = state.for_image(None).voting_rows(), state.release.card.retrieval
        return cls(
            rows,
            np.ascontiguousarray(state.prototypes(rows), dtype=np.float32),
            state.class_ids(rows),
            _images(state, rows),
            state.strengths(rows),
            len(state.classes),
            retrieval.k,
            retrieval.kappa,
        )

    @property
    def across_images(self) -> bool:
        """Whether exemplars are judged by those of other images alone.

        Exemplars of one image, or of frames that were labelled together, agree with each other even if all are wrong.
        With one or two images there would be too few others, so only the exemplar itself is left out.
        """
        return len(np.unique(self.images)) >= _FEWEST_IMAGES

    @property
    def apart(self) -> np.ndarray:
        """[n] int64: exemplars with equal numbers do not judge each other."""
        return self.images if self.across_images else np.arange(len(self.rows))


def _images(state: LiveExemplars, rows: np.ndarray) -> np.ndarray:
    """[n] int64: a number for each image.

    A relabelled exemplar of the release keeps the name of its image, by which both are known to be of the same one.
    """
    base, sources = state.index.ntotal, state.release.sources
    numbers = np.empty(len(rows), dtype=np.int64)
    of_release = rows < base
    numbers[of_release] = state.release.exemplars.image_ids[rows[of_release]]
    named = {source.source: number for number, source in enumerate(sources)}
    known: dict[str, int] = {}
    for place in np.flatnonzero(~of_release).tolist():
        added = state.added(int(rows[place]))
        if added is None:
            raise RuntimeError(f"row {rows[place]} of release {state.release.card.name!r} is not an added exemplar")
        new = named.get(added.source, len(sources) + len(known))
        numbers[place] = known.setdefault(added.image_id, new)
    return numbers
