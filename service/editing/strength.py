"""The strength of a correction: as how many exemplars it must count for the corrected segment to take its class."""

import math
from collections.abc import Collection

import numpy as np

from model_store.live import LiveExemplars
from segsort.retrieval import vote
from service.problems import Problem

SHARE = 0.6  # of the vote on the corrected segment, at least
STRONGEST = 1000.0
_NEAR = 1e-6  # cosines that close to each other may change places


def wins_already(state: LiveExemplars, prototype: np.ndarray, class_id: int, ks: Collection[int]) -> bool:
    """Whether a class wins a segment well enough, whichever number of exemplars votes: prototype [D] float32."""
    for k in ks:
        cosines, rows = state.search(prototype[None], k)
        if _share(state, cosines[0], rows[0], class_id) < SHARE:
            return False
    return True


def needed_strength(
    state: LiveExemplars, prototype: np.ndarray, class_id: int, ks: Collection[int], gone: Collection[int | None] = ()
) -> float:
    """The smallest whole strength with which a segment, made an exemplar, wins its own vote with a share of `SHARE`.

    Args:
        state: the exemplars, without the new one.
        prototype: [D] float32, the segment's.
        class_id: the class that the new exemplar has.
        ks: numbers of exemplars that may vote; it wins with each.
        gone: rows of exemplars that go when this one comes.

    Returns:
        1 or more, at most `STRONGEST` even if that is too weak.

    Raises:
        Problem: 409 if as many others as vote are as near, so that the new one would have no vote.
    """
    return max(_needed(state, prototype, class_id, k, gone) for k in ks)


def _needed(state: LiveExemplars, prototype: np.ndarray, class_id: int, k: int, gone: Collection[int | None]) -> float:
    cosines, rows = state.search(prototype[None], k + len(gone))
    kept = ~np.isin(rows[0], [row for row in gone if row is not None])
    cosines, rows = cosines[0][kept], rows[0][kept]
    own = min(float(np.dot(prototype, prototype)), 1.0)
    ahead = int((cosines >= own - _NEAR).sum())
    if ahead >= k:
        raise Problem(
            409, "As many exemplars as vote are as near to this segment as it is to itself.",
            received=state.ids(rows[:k]), allowed=f"fewer than k={k} such exemplars", fix="Remove these first.",
        )  # fmt: skip
    cosines, rows = cosines[: k - 1], rows[: k - 1]
    kappa = state.release.card.retrieval.kappa
    weights = state.strengths(rows) * np.exp(kappa * (cosines.astype(np.float64) - own))
    of_class = state.class_ids(rows) == class_id if len(rows) else np.zeros(0, dtype=bool)
    for_it, against = float(weights[of_class].sum()), float(weights[~of_class].sum())
    # (for_it + s) / (for_it + against + s) >= SHARE, solved for s; the margin is for rounding
    least = (SHARE * against - (1 - SHARE) * for_it) / (1 - SHARE)
    return float(min(max(math.ceil(least + 1e-6), 1), STRONGEST))


def _share(state: LiveExemplars, cosines: np.ndarray, rows: np.ndarray, class_id: int) -> float:
    kappa, classes = state.release.card.retrieval.kappa, max(len(state.classes), class_id + 1)
    shares = vote(cosines[None], state.class_ids(rows)[None], classes, kappa, state.strengths(rows)[None]).shares
    return float(shares[0, class_id])
