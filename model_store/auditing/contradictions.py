"""Exemplars that their neighbours contradict: another class wins the vote on them when they do not vote themselves.

The vote alone ranks badly. Where all k voters are of another class its margin is 1, for wrong labels and for odd but
right exemplars alike. The contradicted ones are therefore ranked by distances: how much nearer the m nearest exemplars
of the other class are than the m nearest of their own, on average. `benchmarks/audit.py` compares both.
"""

from typing import NamedTuple

import numpy as np

from model_store.auditing.material import Material
from model_store.auditing.neighbours import NONE, Nearest, nearest_elsewhere
from segsort.retrieval import vote

DEPTH = 80  # largest m; chosen by seeds other than the published ones, see docs/audit.md
_FEWEST = 3  # exemplars that a class needs elsewhere: with fewer it is thin, and its labels cannot be judged
_BLOCK = 2048  # exemplars whose distances are computed at once


class Contradictions(NamedTuple):
    """The m contradicted exemplars, the most doubtful first.

    Attributes:
        places: [m] int64, positions in the material.
        class_ids: [m] int64, the class that wins the vote on each.
        scores: [m] float64, 0..1: how much nearer exemplars of another class are than those of its own, as a share of
            the distance to its own.
        margins: [m] float64, 0..1: share of the vote of the winning class minus that of its own.
        own: [m] float64, share of the vote of its own class.
        voters: [m, k] neighbours that vote, best first.
    """

    places: np.ndarray
    class_ids: np.ndarray
    scores: np.ndarray
    margins: np.ndarray
    own: np.ndarray
    voters: Nearest


def contradictions(material: Material) -> Contradictions:
    """Find the exemplars on which another class wins the vote of the others, of other images where there are any.

    Exemplars of classes with fewer than three exemplars elsewhere are left out: nothing can speak for their label.
    """
    apart = material.apart
    voters = nearest_elsewhere(material.prototypes, apart, material.prototypes, apart, material.k)
    winners, margins, own = _votes(material, voters)
    places = np.flatnonzero((margins > 0) & (_elsewhere(material) >= _FEWEST))
    scores = _scores(material, places)
    order = np.lexsort((places, -margins[places], -scores))
    places = places[order]
    chosen = Nearest(voters.cosines[places], voters.places[places])
    return Contradictions(places, winners[places], scores[order], margins[places], own[places], chosen)


def _votes(material: Material, voters: Nearest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Winners [n], their share minus the one of the own class [n], and that share [n]; 0 if nobody votes."""
    n = len(material.rows)
    winners, margins, own = material.class_ids.copy(), np.zeros(n), np.zeros(n)
    for start in range(0, n, _BLOCK):
        part = slice(start, min(start + _BLOCK, n))
        places = voters.places[part]
        strengths = np.where(places == NONE, np.float32(1e-30), material.strengths[places])  # weighs nothing
        found = vote(voters.cosines[part], material.class_ids[places], material.num_classes, material.kappa, strengths)
        some = np.flatnonzero(places[:, 0] != NONE)
        here = part.start + some
        shares, labels = found.shares[some], material.class_ids[here]
        own[here] = shares[np.arange(len(some)), labels]
        winners[here] = found.class_ids[some]
        margins[here] = shares[np.arange(len(some)), winners[here]] - own[here]
    return winners, margins, own


def _elsewhere(material: Material) -> np.ndarray:
    """[n] int64: the number of exemplars that each one's class has apart from it."""
    keys = np.stack([material.class_ids, material.apart], axis=1)
    _, inverse, together = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    counts = np.bincount(material.class_ids, minlength=material.num_classes)
    return np.asarray(counts[material.class_ids] - together[inverse.ravel()])


def _scores(material: Material, places: np.ndarray) -> np.ndarray:
    """[m] float64: 1 - (mean distance to the nearest other class) / (mean distance to the own class), at least 0."""
    scores = np.empty(len(places))
    classes = np.unique(material.class_ids)
    for start in range(0, len(places), _BLOCK):
        part = places[start : start + _BLOCK]
        sums, counts = _distance_sums(material, part, classes)
        own = np.searchsorted(classes, material.class_ids[part])
        each = np.arange(len(part))
        m = np.minimum(counts, counts[each, own][:, None])  # both classes are judged by equally many
        means = np.take_along_axis(sums, np.maximum(m, 1)[:, :, None] - 1, axis=2)[:, :, 0] / np.maximum(m, 1)
        mine = np.take_along_axis(sums[each, own], m - 1, axis=1) / np.maximum(m, 1)
        ratios = np.where(m > 0, means / np.maximum(mine, 1e-6), np.inf)
        ratios[each, own] = np.inf
        scores[start : start + _BLOCK] = np.maximum(0, 1 - ratios.min(axis=1))
    return scores


def _distance_sums(material: Material, places: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Running sums of the distances to the nearest exemplars of each class.

    Returns:
        Sums [m, C', DEPTH] float32 over the nearest 1, 2, ... of a class, and the number of those found [m, C'] int64.
    """
    sums = np.zeros((len(places), len(classes), DEPTH), dtype=np.float32)
    counts = np.zeros((len(places), len(classes)), dtype=np.int64)
    queries, apart = np.ascontiguousarray(material.prototypes[places]), material.apart
    for column, class_id in enumerate(classes.tolist()):
        members = np.flatnonzero(material.class_ids == class_id)
        rows = np.ascontiguousarray(material.prototypes[members])
        found = nearest_elsewhere(rows, apart[members], queries, apart[places], DEPTH)
        exists = found.places != NONE
        distances = np.sqrt(np.maximum(0, 2 - 2 * found.cosines)) * exists
        sums[:, column], counts[:, column] = np.cumsum(distances, axis=1), exists.sum(axis=1)
    return sums, counts
