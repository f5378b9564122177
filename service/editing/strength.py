"""The strength of a correction: how many exemplars it must weigh as for the corrected segment to take its class.

Strokes add several exemplars at once: see `joint_strength`.
"""

from collections.abc import Collection

import numpy as np

from model_store.live import LiveExemplars
from segsort.retrieval import winning_strength
from service.problems import Problem

SHARE = 0.6  # smallest share of the vote that the corrected class must have on the segment
STRONGEST = 1000.0
_TIE = 1e-6  # exemplars whose cosines differ by less may change places in the order


def wins_already(state: LiveExemplars, prototype: np.ndarray, class_id: int, ks: Collection[int]) -> bool:
    """Check whether a class has a share of at least `SHARE` on a segment, for every number of voters.

    Args:
        state: the exemplars that vote.
        prototype: [D] float32 unit vector, the segment's.
        class_id: the class.
        ks: numbers of exemplars that may vote.
    """
    return all(_share(state, prototype, class_id, k) >= SHARE for k in ks)


def wins_vote(state: LiveExemplars, prototypes: np.ndarray, class_ids: np.ndarray, k: int) -> np.ndarray:
    """Check which segments take a class by the vote.

    Args:
        state: the exemplars that vote, at least one.
        prototypes: [n, D] float32 unit vectors, of the segments.
        class_ids: [n] int, the class of each.
        k: number of exemplars that vote.

    Returns:
        [n] bool.
    """
    cosines, rows = state.search(prototypes, k)
    return np.asarray(state.vote(cosines, rows).class_ids == class_ids)


def needed_strength(
    state: LiveExemplars, prototype: np.ndarray, class_id: int, ks: Collection[int], gone: Collection[int | None] = ()
) -> float:
    """Compute the smallest whole strength with which a segment, made an exemplar, wins its own vote.

    Args:
        state: the exemplars, without the new one.
        prototype: [D] float32 unit vector, the segment's.
        class_id: class of the new exemplar.
        ks: numbers of exemplars that may vote. The new exemplar's class gets a share of `SHARE` with each.
        gone: rows of exemplars that the same edit removes; None is ignored.

    Returns:
        A whole number from 1 to `STRONGEST`. `STRONGEST` may be too weak.

    Raises:
        Problem: 409 if k exemplars have the same cosine as the new one, so that it may not vote.
    """
    return max(_needed(state, prototype, class_id, k, gone) for k in ks)


def _needed(state: LiveExemplars, prototype: np.ndarray, class_id: int, k: int, gone: Collection[int | None]) -> float:
    cosines, rows = state.search(prototype[None], k + len(gone))
    kept = ~np.isin(rows[0], [row for row in gone if row is not None])
    cosines, rows = cosines[0][kept], rows[0][kept]
    own = min(float(np.dot(prototype, prototype)), 1.0)
    if int((cosines >= own - _TIE).sum()) >= k:
        raise Problem(
            409, f"{k} exemplars are identical to this segment, so the correction would not vote.",
            received=state.ids(rows[:k]), allowed=f"fewer than k={k} such exemplars", fix="Remove these first.",
        )  # fmt: skip
    others, rows = cosines[: k - 1], rows[: k - 1]
    same_class = np.asarray(state.class_ids(rows) == class_id)
    kappa = state.release.card.retrieval.kappa
    return min(winning_strength(others, same_class, own, SHARE, kappa, state.strengths(rows)), STRONGEST)


def _share(state: LiveExemplars, prototype: np.ndarray, class_id: int, k: int) -> float:
    cosines, rows = state.search(prototype[None], k)
    shares = state.vote(cosines, rows).shares[0]
    return float(shares[class_id]) if class_id < len(shares) else 0.0
