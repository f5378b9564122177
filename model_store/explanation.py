"""Explanations: why a segment has its label, told so that it can be recomputed by hand; and that recomputation."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from model_store.card import ClassInfo
from model_store.live import LiveExemplars
from model_store.release import Release
from segsort.retrieval import flip_set

State = TypeVar("State", Release, LiveExemplars)  # what answers; a release is its live state before any edit


def exemplar_facts(state: Release | LiveExemplars, row: int) -> dict[str, Any]:
    """What an exemplar is and where it lies, as plain values: its mask is in the pixels of its source image."""
    live = _live(state)
    class_id = int(live.class_ids(np.array([row]))[0])
    told = {
        "exemplar_id": live.ids([row])[0],
        "class_id": class_id,
        "class_name": live.classes[class_id].name,
        "strength": float(live.strengths(np.array([row]))[0]),
    }
    added = live.added(row)
    if added is not None:
        mask = {"size": [added.height, added.width], "counts": added.mask}
        return told | {"source": added.source, "bbox": list(added.bbox), "area": added.area, "mask": mask}
    exemplars = live.release.exemplars
    source = live.release.sources[int(exemplars.image_ids[row])]
    return told | {
        "source": source.source,
        "bbox": exemplars.bboxes[row].tolist(),
        "area": int(exemplars.areas[row]),
        "mask": {"size": [source.height, source.width], "counts": exemplars.masks[row]},
    }


def explain_vote(
    state: State,
    similarities: np.ndarray,
    rows: np.ndarray,
    k: int,
    kappa: float,
    describe: Callable[[State, int], dict[str, Any]] = exemplar_facts,
    classes: Sequence[ClassInfo] | None = None,
) -> dict[str, Any]:
    """The vote on one segment, with everything needed to recompute it; `replay` does so.

    Args:
        state: whose exemplars voted. They may have been removed since.
        similarities: [R] cosines of the segment's nearest exemplars, best first, R >= 1.
        rows: [R] those exemplars' rows in the state.
        k: how many of them vote; at most R do.
        kappa: as in `segsort.retrieval.vote`.
        describe: what is said of an exemplar beside its similarity, strength and weight.
        classes: as they were named when the vote was taken, by class_id; None: as the state names them.

    Returns:
        class_id, class_name: the label. share: the winner's part of the vote, 0..1. vote: k, kappa and the classes that
        have a share, the largest first. exemplars: the k that voted, nearest first, with similarity, strength and
        weight. reserve: the neighbours that follow, which move up when others are taken away. runner_up: the second
        class or None. margin: the winner's share less the runner-up's. flip_set: ids of the fewest exemplars whose
        removal changes the label, or None if the reserve does not hold enough to flip it.

    Raises:
        ValueError: if similarities and rows are not both [R], R >= 1, k is below 1, or `classes` lacks one that voted.
    """
    if similarities.ndim != 1 or similarities.shape != rows.shape or not len(rows) or k < 1:
        raise ValueError(
            f"similarities have shape {similarities.shape}, rows {rows.shape}, k={k}; give one similarity for each of "
            "a segment's neighbours, and k of at least 1"
        )
    live = _live(state)
    names = [info.name for info in (live.classes if classes is None else classes)]
    class_ids, strengths = live.class_ids(rows), live.strengths(rows)
    k = min(k, len(rows))
    if class_ids.max() >= len(names):
        raise ValueError(f"class {class_ids.max()} voted, but classes has {len(names)} entries; give all of that time")
    result = live.vote(similarities[None, :k], rows[None, :k], kappa)
    shares = result.shares[0]
    order = [int(c) for c in np.lexsort((np.arange(len(shares)), -shares)) if shares[c] > 0]
    weighed = [{"class_id": c, "class_name": names[c], "weight": float(shares[c])} for c in order]
    columns = zip(rows.tolist(), similarities.tolist(), strengths.tolist(), class_ids.tolist(), strict=True)
    neighbours = [
        describe(state, row) | {"class_name": names[class_id], "similarity": similarity, "strength": strength}
        for row, similarity, strength, class_id in columns
    ]
    flips = flip_set(similarities, class_ids, k, kappa, strengths)
    return {
        "class_id": order[0],
        "class_name": names[order[0]],
        "share": float(shares[order[0]]),
        "vote": {"k": k, "kappa": kappa, "classes": weighed},
        "exemplars": [
            entry | {"weight": weight} for entry, weight in zip(neighbours, result.weights[0].tolist(), strict=False)
        ],
        "reserve": neighbours[k:],
        "runner_up": weighed[1] if len(weighed) > 1 else None,
        "margin": float(shares[order[0]] - (shares[order[1]] if len(order) > 1 else 0.0)),
        "flip_set": None if flips is None else live.ids(rows[flips]),
    }


def _live(state: Release | LiveExemplars) -> LiveExemplars:
    return state if isinstance(state, LiveExemplars) else LiveExemplars.of_release(state)


class Replay(NamedTuple):
    """What follows from an explanation alone.

    class_id, class_name: the label; shares: of the classes that have one, by class id, 0..1, summing to 1;
    flip_set_holds: whether taking the flip set away changes the label and taking fewer away does not, or, where there
    is none, that the label stays whatever the reserve can replace.
    """

    class_id: int
    class_name: str
    shares: dict[int, float]
    flip_set_holds: bool


def replay(told: Mapping[str, Any]) -> Replay:
    """Recompute a label from its explanation, by plain arithmetic over what the explanation says.

    On purpose it shares no code with the vote: only so can it contradict it.

    Args:
        told: the JSON of GET /explain/{segment_id}, or what `explain_vote` returns. Used are vote.k, vote.kappa,
            flip_set, and of the exemplars and the reserve their id, class, similarity and strength (1 where none is
            told).

    Raises:
        ValueError: if one of these is missing or no exemplar is told.
    """
    try:
        k, kappa = int(told["vote"]["k"]), float(told["vote"]["kappa"])
        ranked = [
            _Neighbour(str(e["exemplar_id"]), int(e["class_id"]), float(e["similarity"]), float(e.get("strength", 1)))
            for e in [*told["exemplars"], *told["reserve"]]
        ]
        names = {int(e["class_id"]): str(e["class_name"]) for e in [*told["exemplars"], *told["reserve"]]}
        flips = told["flip_set"]
    except KeyError as error:
        raise ValueError(f"the explanation has no {error}; give the whole JSON of GET /explain/SEGMENT_ID") from error
    if not ranked[:k]:
        raise ValueError(f"the explanation tells {len(ranked)} exemplars and k={k}; a vote needs at least one of both")
    shares = _recount(ranked[:k], kappa)
    label = _winner(shares)
    return Replay(label, names[label], shares, _flip_set_holds(ranked, flips, k, kappa, label))


class _Neighbour(NamedTuple):
    """An exemplar as it is told."""

    exemplar_id: str
    class_id: int
    similarity: float
    strength: float


_Ranked = Sequence[_Neighbour]  # nearest first


def _recount(voters: _Ranked, kappa: float) -> dict[int, float]:
    """Each class's share of the vote."""
    nearest = max(one.similarity for one in voters)  # weights relative to it: exp of a large kappa overflows
    weights: dict[int, float] = defaultdict(float)
    for one in voters:
        weights[one.class_id] += one.strength * math.exp(kappa * (one.similarity - nearest))
    total = sum(weights.values())
    return {class_id: weight / total for class_id, weight in weights.items()}


def _winner(shares: Mapping[int, float]) -> int:
    """The class of the largest share, the lowest of equals."""
    return min(shares, key=lambda class_id: (-shares[class_id], class_id))


def _flip_set_holds(ranked: _Ranked, flips: Sequence[str] | None, k: int, kappa: float, label: int) -> bool:
    """Whether the flip set flips the label, and the heaviest of the label's own, fewer than it, do not."""

    def label_without(gone: Sequence[str]) -> int:
        return _winner(_recount([one for one in ranked if one.exemplar_id not in gone][:k], kappa))

    def heaviest(count: int) -> list[str]:
        """Of the label's own among those that are left to vote or take a place of those taken."""
        own = [one for one in ranked[: k + count] if one.class_id == label]
        own.sort(key=lambda one: -(kappa * one.similarity + math.log(one.strength)))
        return [one.exemplar_id for one in own[:count]]

    own = sum(one.class_id == label for one in ranked)
    fewer = min(own, len(ranked) - k) + 1 if flips is None else len(flips)
    stays = all(label_without(heaviest(removed)) == label for removed in range(fewer))
    return stays and (flips is None or (len(ranked) - len(flips) >= k and label_without(flips) != label))
