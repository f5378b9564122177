"""Times of edits of the live index, and of searches with and without edits over the same exemplars.

python -m benchmarks.live_index [--rounds 15] [--counts 1000 100000 1000000] [--threads N] [--out DIR]

The time of an edit ends when a new snapshot can be searched. Writing the edit to the database is not included. Half of
the edits before a search are additions, half are removals.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.common import interleave, report, spread
from benchmarks.retrieval import DIMENSION, QUERIES, K, clustered
from model_store.cores import available_cores
from model_store.exemplar_table import Exemplars
from model_store.index import ExemplarIndex
from model_store.live import AddedExemplar, LiveExemplars
from model_store.predictor import RESERVE
from model_store.release import Release
from model_store.store import open_store

EDITS = (100, 1000)
FOUND = RESERVE * K  # neighbours that the service looks up for a segment


def released(count: int) -> LiveExemplars:
    """A release with `count` exemplars before any edit. What retrieval does not need is from the bundled release."""
    release, prototypes = Release.open(open_store().resolve(), verify=False), clustered(count, 1)
    zeros = np.zeros(count, dtype=np.int64)
    class_ids = np.random.default_rng(3).integers(0, len(release.card.classes), count)
    ids = [f"{n:016x}" for n in range(count)]
    boxes = np.zeros((count, 4), dtype=np.int32)
    exemplars = Exemplars(ids, prototypes, class_ids, zeros.astype(np.int32), boxes, zeros, [""] * count)
    state = LiveExemplars.of_release(replace(release, exemplars=exemplars), index=ExemplarIndex.build(prototypes))
    state.row("")  # the first use numbers the names; a service does it at its start
    return state


def exemplar(number: int, prototype: np.ndarray) -> AddedExemplar:
    """An exemplar for an edit to add."""
    return AddedExemplar(f"added {number}", prototype, 0, 1.0, "0" * 64, "benchmark", 8, 8, (0, 0, 8, 8), 64, "")


def edited(state: LiveExemplars, edits: int) -> LiveExemplars:
    """Apply `edits` edits one by one, additions and removals in turn. Removed exemplars are random."""
    ids, prototypes = state.release.exemplars.ids, clustered(edits, 4)
    removed = np.random.default_rng(5).permutation(len(ids))
    for n in range(edits):
        if n % 2:
            state = state.edited(n + 1, alive={ids[removed[n]]: False})
        else:
            state = state.edited(n + 1, added=[exemplar(n, prototypes[n])])
    return state


def measure(count: int, rounds: int) -> list[dict[str, Any]]:
    """Rows of the table for one number of exemplars."""
    start, queries, fresh = released(count), clustered(QUERIES, 2), clustered(1, 6)[0]
    states = {edits: edited(start, edits) for edits in EDITS}
    most = states[max(EDITS)]
    ids = iter([one for one in start.release.exemplars.ids if most.is_alive(most.row(one) or 0)])
    numbers = iter(range(10**6, 2 * 10**6))
    changes: dict[str, Callable[[], LiveExemplars]] = {}
    for edits, state in {0: start, max(EDITS): most}.items():
        changes[f"add one after {edits} edits"] = _adding(state, numbers, fresh)
        changes[f"remove one after {edits} edits"] = _removing(state, ids)
    searches: dict[str, Callable[[], Any]] = {
        "search, the release's index": lambda: start.index.search(queries, FOUND),
        "search, no edit": lambda: start.search(queries, FOUND),
    }
    for edits, state in states.items():
        searches[f"search, {edits} edits"] = _searching(state, queries)
    seconds = interleave({**changes, **searches}, rounds, warmup=2)
    index = float(np.median(seconds["search, the release's index"]))
    return [
        {
            "exemplars": count,
            "what": name,
            **spread(taken),
            "of the index": float(np.median(taken)) / index if name in searches else "",
        }
        for name, taken in seconds.items()
    ]


def _adding(state: LiveExemplars, numbers: Any, prototype: np.ndarray) -> Callable[[], LiveExemplars]:
    """A function that adds one exemplar to the state that the previous call left, as a service does."""
    held = [state]

    def add() -> LiveExemplars:
        held[0] = held[0].edited(held[0].revision + 1, added=[exemplar(next(numbers), prototype)])
        return held[0]

    return add


def _removing(state: LiveExemplars, ids: Any) -> Callable[[], LiveExemplars]:
    held = [state]

    def remove() -> LiveExemplars:
        held[0] = held[0].edited(held[0].revision + 1, alive={next(ids): False})
        return held[0]

    return remove


def _searching(state: LiveExemplars, queries: np.ndarray) -> Callable[[], Any]:
    return lambda: state.search(queries, FOUND)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        rows = [row for count in arguments.counts for row in measure(count, arguments.rounds)]
    details = {"queries": QUERIES, "dimension": DIMENSION, "k": FOUND, "threads": arguments.threads}
    report("live_index", rows, details, arguments.out)


if __name__ == "__main__":
    main()
