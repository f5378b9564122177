"""The engine as a function from the bytes of an image to those of its answer, for other servers to serve."""

import os
from collections.abc import Callable
from pathlib import Path

import orjson

WORKERS = "BENCHMARK_WORKERS"  # environment variable: number of worker processes


def answering(threads: int | None = None, data: Path | None = None) -> Callable[[bytes], bytes]:
    """A function that answers an image as `POST /segment` does.

    Args:
        threads: threads of the network; None: all cores.
        data: data folder; None: SEGSORT_DATA_DIR.
    """
    import torch

    from service.answering.engine import Engine
    from service.answering.limits import SegmentRequest
    from service.settings import load_settings

    torch.set_num_threads(1)
    engine = Engine(load_settings(threads=threads, data_dir=data))
    return lambda content: orjson.dumps(engine.segment(content, SegmentRequest()).body)


def workers() -> int:
    """Requested number of workers."""
    return int(os.environ.get(WORKERS, "1"))


def threads_each() -> int | None:
    """Threads of the network in each worker, an equal share of the cores; None: a single worker uses all cores."""
    from model_store.cores import available_cores

    return None if workers() == 1 else max(1, available_cores() // workers())
