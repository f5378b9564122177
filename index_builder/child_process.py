"""What commands that run as jobs of a service share: progress as JSON lines, and ending with their parent."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ReportStage = Callable[[str, int, int], None]


@contextmanager
def reporting(as_json: bool) -> Iterator[ReportStage]:
    """How progress is shown: JSON lines or bars, both on standard error."""
    if as_json:
        yield _print_step
        return
    from index_builder.progress import StageBars

    with StageBars() as stages:
        yield stages.show


def use_threads(count: int | None) -> None:
    """Limit the threads of numeric libraries, which read it when they are loaded; None: no limit."""
    if count is not None:
        os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(count)))


def yield_to_parent(niceness: int) -> None:
    """Lower the priority, and end with the process that holds the other end of standard input."""
    os.nice(niceness)

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)  # the processes that this one has started, and this one

    threading.Thread(target=watch, name="segsort-parent", daemon=True).start()


def _print_step(stage: str, done: int, total: int) -> None:
    print(json.dumps({"stage": stage, "done": done, "total": total}), file=sys.stderr, flush=True)
