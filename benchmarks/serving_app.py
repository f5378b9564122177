"""The pipeline as other servers are given it: the same engine, from the bytes of a picture to those of its answer."""

import os
from collections.abc import Callable
from pathlib import Path

import orjson

WORKERS = "BENCHMARK_WORKERS"  # how many processes, or how many threads in one


def answering(threads: int | None = None, data: Path | None = None) -> Callable[[bytes], bytes]:
    """What answers a picture as `POST /segment` does, recorded in data or SEGSORT_DATA_DIR; threads: the network's."""
    import torch

    from service.answering.engine import Engine
    from service.answering.limits import SegmentRequest
    from service.settings import load_settings

    torch.set_num_threads(1)
    engine = Engine(load_settings(threads=threads, data_dir=data))
    return lambda content: orjson.dumps(engine.segment(content, SegmentRequest()).body)


def workers() -> int:
    """How many workers were asked for."""
    return int(os.environ.get(WORKERS, "1"))


def threads_each() -> int | None:
    """Threads of the network of each worker, so that all share the cores; None: all cores for the only one."""
    from model_store.cores import available_cores

    return None if workers() == 1 else max(1, available_cores() // workers())
