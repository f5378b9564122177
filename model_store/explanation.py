"""Explanations: all numbers that a segment's label follows from, and the recomputation of the label from them."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from model_store.card import ClassInfo
from model_store.live import LiveExemplars
from model_store.release import Release
from segsort.retrieval import flip_set

State = TypeVar("State", Release, LiveExemplars)  # a release stands for its live state before any edit


def exemplar_facts(state: Release | LiveExemplars, row: int) -> dict[str, Any]:
    """An exemplar as JSON: id, class, strength, scope, source, and its box, area and mask in pixels of its image."""
    live = _live(state)
    class_id = int(live.class_ids(np.array([row]))[0])
    facts = {
        "exemplar_id": live.ids([row])[0],
        "class_id": class_id,
        "class_name": live.classes[class_id].name,
        "strength": float(live.strengths(np.array([row]))[0]),
        "scope": live.scope(row),
    }
    added = live.added(row)
    if added is not None:
        mask = {"size": [added.height, added.width], "counts": added.mask}
        return facts | {"source": added.source, "bbox": list(added.bbox), "area": added.area, "mask": mask}
    exemplars = live.release.exemplars
    source = live.release.sources[int(exemplars.image_ids[row])]
    return facts | {
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
    """Explain the vote on one segment with everything that is needed to recompute it; see `replay`.

    Args:
        state: the exemplars that voted. They may have been removed since.
        similarities: [R] cosines of the segment's nearest exemplars, best first; R may be 0.
        rows: [R] those exemplars' rows in the state.
        k: number of exemplars that vote, at most R.
        kappa: concentration, see `segsort.retrieval.vote`.
        describe: writes an exemplar as JSON, without similarity, strength and weight.
        classes: with their names at the time of the vote, by class_id; None: the classes of the state.

    Returns:
        class_id, class_name: the label. share: the winner's part of the vote, 0..1. vote: k, kappa and the classes that
        have a share, the largest first. exemplars: the k that voted, nearest first, with similarity, strength and
        weight. reserve: the next neighbours, which vote when others are removed. runner_up: the class with the second
        largest share, or None. margin: the winner's share minus the runner-up's. flip_set: ids of the smallest set of
        exemplars whose removal changes the label, or None if the reserve is too small to change it. If no exemplar
        voted, vote.k is 0, the lists are empty and all other values are None.

    Raises:
        ValueError: if similarities and rows are not both [R], k is below 1, or `classes` lacks one that voted.
    """
    if similarities.ndim != 1 or similarities.shape != rows.shape or k < 1:
        raise ValueError(
            f"similarities have shape {similarities.shape}, rows {rows.shape}, k={k}; give one similarity for each of "
            "a segment's neighbours, and k of at least 1"
        )
    if not len(rows):
        return _without_vote(kappa)
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


def _without_vote(kappa: float) -> dict[str, Any]:
    """The explanation of a segment that no exemplar voted on."""
    unknown = dict.fromkeys(("class_id", "class_name", "share"))
    vote: dict[str, Any] = {"k": 0, "kappa": kappa, "classes": []}
    return unknown | {"vote": vote, "exemplars": [], "reserve": [], "runner_up": None, "margin": None, "flip_set": None}


def _live(state: Release | LiveExemplars) -> LiveExemplars:
    return state if isinstance(state, LiveExemplars) else LiveExemplars.of_release(state)


class Replay(NamedTuple):
    """The label that was recomputed from an explanation alone.

    class_id, class_name: the label, None if no exemplar voted; shares: of the classes with votes, by class id, 0..1,
    with the sum 1; flip_set_holds: whether removing the flip set changes the label and removing fewer exemplars does
    not. Without a flip set: whether the label stays for every number of removals that the reserve can replace.
    """

    class_id: int | None
    class_name: str | None
    shares: dict[int, float]
    flip_set_holds: bool


def replay(explanation: Mapping[str, Any]) -> Replay:
    """Recompute a label from its explanation by plain arithmetic.

    It shares no code with the vote on purpose, so that it can find errors there.

    Args:
        explanation: the JSON of GET /explain/{segment_id}, or the result of `explain_vote`. The values used are vote.k,
            vote.kappa, flip_set, and exemplar_id, class_id, class_name, similarity and strength (1 if missing) of the
            exemplars and the reserve.

    Raises:
        ValueError: if one of these is missing, or there are no exemplars although vote.k is not 0, or the reverse.
    """
    try:
        k, kappa = int(explanation["vote"]["k"]), float(explanation["vote"]["kappa"])
        ranked = [
            _Neighbour(str(e["exemplar_id"]), int(e["class_id"]), float(e["similarity"]), float(e.get("strength", 1)))
            for e in [*explanation["exemplars"], *explanation["reserve"]]
        ]
        names = {int(e["class_id"]): str(e["class_name"]) for e in [*explanation["exemplars"], *explanation["reserve"]]}
        flips = explanation["flip_set"]
    except KeyError as error:
        raise ValueError(f"the explanation has no {error}; give the whole JSON of GET /explain/SEGMENT_ID") from error
    if k == 0 and not ranked:
        return Replay(None, None, {}, flips is None)
    if not ranked[:k]:
        raise ValueError(f"the explanation has {len(ranked)} exemplars and k={k}; a vote needs at least one of both")
    shares = _recount(ranked[:k], kappa)
    label = _winner(shares)
    return Replay(label, names[label], shares, _flip_set_holds(ranked, flips, k, kappa, label))


class _Neighbour(NamedTuple):
    """An exemplar of an explanation."""

    exemplar_id: str
    class_id: int
    similarity: float
    strength: float


_Ranked = Sequence[_Neighbour]  # nearest first


def _recount(voters: _Ranked, kappa: float) -> dict[int, float]:
    """The share of each class in the vote."""
    nearest = max(one.similarity for one in voters)  # weights relative to it: exp of a large kappa overflows
    weights: dict[int, float] = defaultdict(float)
    for one in voters:
        weights[one.class_id] += one.strength * math.exp(kappa * (one.similarity - nearest))
    total = sum(weights.values())
    return {class_id: weight / total for class_id, weight in weights.items()}


def _winner(shares: Mapping[int, float]) -> int:
    """The class with the largest share; a tie goes to the lowest class id."""
    return min(shares, key=lambda class_id: (-shares[class_id], class_id))


def _flip_set_holds(ranked: _Ranked, flips: Sequence[str] | None, k: int, kappa: float, label: int) -> bool:
    """Whether removing the flip set changes the label, and removing fewer of its heaviest exemplars does not."""

    def label_without(removed: Sequence[str]) -> int:
        return _winner(_recount([one for one in ranked if one.exemplar_id not in removed][:k], kappa))

    def heaviest(count: int) -> list[str]:
        """The heaviest exemplars of the label among those that vote when this many are removed."""
        own = [one for one in ranked[: k + count] if one.class_id == label]
        own.sort(key=lambda one: -(kappa * one.similarity + math.log(one.strength)))
        return [one.exemplar_id for one in own[:count]]

    own = sum(one.class_id == label for one in ranked)
    fewer = min(own, len(ranked) - k) + 1 if flips is None else len(flips)
    stays = all(label_without(heaviest(count)) == label for count in range(fewer))
    return stays and (flips is None or (len(ranked) - len(flips) >= k and label_without(flips) != label))
