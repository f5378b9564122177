"""How many of the nearest exemplars an approximate index finds: measured, and reached, when a release is written."""

from typing import NamedTuple

import numpy as np

from model_store.card import RetrievalInfo, SearchInfo
from model_store.index import Effort, ExemplarIndex
from segsort import loops

RECALL = 0.99  # that the effort of a search is chosen for
_QUERIES = 1000
_AT_ONCE = 64  # queries that are compared with every exemplar at a time
_GAIN = 0.0005  # a doubled effort that raises the recall by less is not worth its time
_MOST_CANDIDATES = 64  # for each neighbour


class Trial(NamedTuple):
    """Queries whose nearest exemplars are known: vectors [Q, D] float32 and true rows [Q, k] int64, best first."""

    queries: np.ndarray
    true: np.ndarray

    def shares(self, index: ExemplarIndex) -> tuple[np.ndarray, np.ndarray]:
        """Share of the nearest exemplars that an index finds [Q], and whether it finds the very nearest one [Q]."""
        found = index.search(self.queries, self.true.shape[1])[1]
        shares = np.array([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, self.true, strict=True)])
        return shares, found[:, 0] == self.true[:, 0]


def tuned(
    index: ExemplarIndex, retrieval: RetrievalInfo, trial: Trial | None = None
) -> tuple[RetrievalInfo, SearchInfo | None]:
    """Choose the effort of a search, where the settings leave it open, and measure the recall.

    The least effort is chosen, in powers of two, that finds `RECALL` of the nearest exemplars in the mean. If none
    does, it is the effort that finds most.

    Args:
        index: of N exemplars; it was built with these settings.
        retrieval: settings; `nprobe` and `rerank` are chosen if they are None.
        trial: queries to choose with; None: `moved_exemplars`.

    Returns:
        The settings with the effort, unchanged if the search is exact; and what the card states, see `measured_recall`.
    """
    if index.is_exact or index.ntotal < 2:
        return retrieval, None
    trial = trial or moved_exemplars(index, retrieval.k)
    effort = Effort(retrieval.nprobe, retrieval.rerank or 1)
    if index.lists or not index.is_lossless:
        effort = _chosen(index, retrieval, trial)
    settings = {"nprobe": effort.nprobe, "rerank": effort.rerank}
    found = _measured(index.with_effort(effort), retrieval.index_factory, trial)
    return retrieval.model_copy(update=settings), found


def tuned_index(prototypes: np.ndarray, retrieval: RetrievalInfo) -> ExemplarIndex:
    """Build the index that a release with these settings has, with the effort of its searches."""
    index = ExemplarIndex.build(prototypes, retrieval.index_factory, shards=retrieval.shards)
    chosen = tuned(index, retrieval)[0]
    return index.with_effort(Effort(chosen.nprobe, chosen.rerank or 1))


def measured_recall(index: ExemplarIndex, factory: str, k: int, seed: int = 0) -> SearchInfo | None:
    """The recall of an index against a comparison with every exemplar.

    Args:
        index: the index, of N exemplars.
        factory: its kind, as `faiss.index_factory` takes it.
        k: number of exemplars that vote.
        seed: of the sample of exemplars and of the directions.

    Returns:
        What the card states; None if the search is exact, or there are fewer than two exemplars.
    """
    if index.is_exact or index.ntotal < 2:
        return None
    return _measured(index, factory, moved_exemplars(index, k, seed))


def moved_exemplars(index: ExemplarIndex, k: int, seed: int = 0, count: int = _QUERIES) -> Trial:
    """Queries that are about as near to the exemplars as a segment of a new image is.

    A query is a prototype that is moved as far, in a random direction, as its nearest other exemplar is away.

    Args:
        index: of at least two exemplars.
        k: number of neighbours.
        seed: of the sample of exemplars and of the directions.
        count: largest number of queries.
    """
    N, D = index.prototypes.shape
    random = np.random.default_rng(seed)
    rows = np.sort(random.choice(N, size=min(N, count), replace=False))
    prototypes = np.ascontiguousarray(index.prototypes[rows])
    nearest = _exact(index.prototypes, prototypes, 2)[0][:, 1].clip(-1, 1)
    directions = random.standard_normal((len(rows), D))
    directions -= (directions * prototypes).sum(axis=1, keepdims=True) * prototypes  # at right angles to the prototype
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    moved = nearest[:, None] * prototypes + np.sqrt(1 - nearest**2)[:, None] * directions
    queries = np.ascontiguousarray(moved, dtype=np.float32)
    return Trial(queries, _exact(index.prototypes, queries, k)[1])


def _exact(rows: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """`loops.nearest_rows` of some queries at a time: its memory grows with their number."""
    parts = [loops.nearest_rows(rows, queries[n : n + _AT_ONCE], k) for n in range(0, len(queries), _AT_ONCE)]
    return np.concatenate([cosines for cosines, _ in parts]), np.concatenate([found for _, found in parts])


def _measured(index: ExemplarIndex, factory: str, trial: Trial) -> SearchInfo:
    shares, nearest = trial.shares(index)
    return SearchInfo(
        index_factory=factory,
        k=trial.true.shape[1],
        recall=float(np.mean(shares)),
        recall_p05=float(np.quantile(shares, 0.05)),
        queries=len(shares),
        nearest=float(np.mean(nearest)),
    )


def _chosen(index: ExemplarIndex, retrieval: RetrievalInfo, trial: Trial) -> Effort:
    """The effort, see `tuned`: lists and candidates are doubled in turn, whichever finds more."""

    def recall(effort: Effort) -> float:
        return float(np.mean(trial.shares(index.with_effort(effort))[0]))

    lists = index.lists if retrieval.nprobe is None else 0
    most = _MOST_CANDIDATES if retrieval.rerank is None and not index.is_lossless else 0
    effort = Effort(retrieval.nprobe or (1 if index.lists else None), retrieval.rerank or 1)
    best = recall(effort)
    while best < RECALL:
        wider = [effort._replace(nprobe=min(2 * (effort.nprobe or 1), lists))] if (effort.nprobe or 1) < lists else []
        deeper = [effort._replace(rerank=2 * effort.rerank)] if 2 * effort.rerank <= most else []
        both = [effort._replace(nprobe=w.nprobe, rerank=d.rerank) for w in wider for d in deeper]
        tried = {one: recall(one) for one in (*wider, *deeper)}
        if both and max(tried.values()) < best + _GAIN:  # each may be held back by the other
            tried = {one: recall(one) for one in both}
        if not tried or max(tried.values()) < best + _GAIN:
            break
        effort = max(tried, key=lambda one: tried[one])
        best = tried[effort]
    return effort
