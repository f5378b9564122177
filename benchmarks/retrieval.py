"""Exact nearest-neighbour search of our index, compared with the flat index of FAISS, torch.topk and numpy.

python -m benchmarks.retrieval [--rounds 15] [--counts 10000 1000000 10000000] [--threads N] [--out DIR]
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.common import interleave, report, spread
from model_store.cores import available_cores
from model_store.index import ExemplarIndex

QUERIES, DIMENSION, K = 64, 32, 20
AT_ONCE = 1 << 26  # cosines in memory at a time, for methods that store them all; ten million rows would need 5 GB
FEWER = 5_000_000  # from this number of prototypes on, a third of the rounds is run


def clustered(count: int, seed: int) -> np.ndarray:
    """[count, DIMENSION] float32 unit vectors in 200 clusters, similar to exemplars."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((200, DIMENSION))
    rows = centres.astype(np.float32)[random.integers(0, 200, count)]
    rows += np.float32(0.5) * random.standard_normal((count, DIMENSION), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def numpy_search(prototypes: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Rows [Q, K], best first."""
    found = []
    for part in in_parts(queries, len(prototypes)):
        cosines = part @ prototypes.T
        some = np.argpartition(cosines, -K, axis=1)[:, -K:]
        order = np.argsort(-np.take_along_axis(cosines, some, axis=1), axis=1)
        found.append(np.take_along_axis(some, order, axis=1))
    return np.concatenate(found)


def torch_search(prototypes: torch.Tensor, queries: torch.Tensor) -> np.ndarray:
    """Rows [Q, K], best first."""
    parts = in_parts(queries, len(prototypes))
    return np.concatenate([(part @ prototypes.T).topk(K, dim=1).indices.numpy() for part in parts])


def in_parts(queries: Any, count: int) -> list[Any]:
    """Split queries into parts whose cosines with `count` prototypes fit into AT_ONCE."""
    each = max(1, AT_ONCE // count)
    return [queries[first : first + each] for first in range(0, len(queries), each)]


def measure(count: int, rounds: int) -> list[dict[str, Any]]:
    """Rows of the table for one number of prototypes."""
    prototypes, queries = clustered(count, 1), clustered(QUERIES, 2)
    index, flat = ExemplarIndex.build(prototypes), faiss.IndexFlatIP(DIMENSION)
    flat.add(prototypes)
    left, right = torch.from_numpy(queries), torch.from_numpy(prototypes)
    tasks: dict[str, Callable[[], Any]] = {
        "index": lambda: index.search(queries, K)[1],
        "faiss IndexFlatIP": lambda: flat.search(queries, K)[1],
        "torch.topk": lambda: torch_search(right, left),
        "numpy": lambda: numpy_search(prototypes, queries),
    }
    exact = tasks["faiss IndexFlatIP"]()
    recall = {
        name: float(np.mean([len(set(a) & set(b)) / K for a, b in zip(task(), exact, strict=True)]))
        for name, task in tasks.items()
    }
    seconds = interleave(tasks, rounds if count < FEWER else -(-rounds // 3), warmup=1)
    own = float(np.median(seconds["index"]))
    return [
        {
            "prototypes": count,
            "what": name,
            **spread(taken),
            "of index": float(np.median(taken)) / own,
            "recall": recall[name],
        }
        for name, taken in seconds.items()
    ]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        rows = [row for count in arguments.counts for row in measure(count, arguments.rounds)]
    details = {"queries": QUERIES, "dimension": DIMENSION, "k": K, "threads": arguments.threads}
    report("retrieval", rows, details, arguments.out)


if __name__ == "__main__":
    main()
