"""Compile the loops before they are needed: in several processes, in the order of use, with progress in the log.

numba compiles one loop at a time in a process, whatever the number of threads. Therefore other processes compile a
share of the loops into the folder of compiled loops, where this process finds them. Run as a program, this module is
such a process: `python -m segsort.loops.compiling [STEP...]`.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from segsort.loops import components, directions, kmeans, kmeans_bytes, location, nearest, outline, planes, run_lengths
from segsort.loops.cache import folder_of_loops, loops_are_kept
from segsort.loops.sharing import counters
from segsort.loops.threads import at_most

_log = logging.getLogger("segsort.loops")
_PATIENCE = 300.0  # seconds that other processes may take
_CPU, _BOTH, _DEVICE = frozenset({"cpu"}), frozenset({"cpu", "device"}), frozenset({"device"})


class Step(NamedTuple):
    """A group of loops to compile.

    Attributes:
        name: for people.
        run: calls the loops on the smallest input with the types of real inputs.
        cost: seconds that it takes, about.
        first: where a first answer needs it: where pixels are sorted on a CPU, or on another device.
    """

    name: str
    run: Callable[[], object]
    cost: float
    first: frozenset[str] = frozenset()


def _rows(count: int = 4, dimension: int = 4) -> np.ndarray:
    return np.full((count, dimension), 0.5, dtype=np.float32)


def _labels() -> np.ndarray:
    return np.array([[0, 0], [1, 0]], dtype=np.int32)


def _planes() -> object:
    one = np.ones(3, dtype=np.float32)
    return planes.normalise(np.zeros((3, 2, 2), dtype=np.uint8), one, one, (2, 2))


def _features() -> object:
    return location.append(np.ones((2, 2, 2), dtype=np.float32), 1.0)


def _sorting() -> object:
    module = kmeans_bytes if kmeans_bytes.supported() else kmeans
    return module.sort(_rows(), np.array([0, 0, 1, 1]), 2, 1, 1)


def _outlines() -> object:
    return outline.labels_of(_rows(), _rows(2), np.array([[0, 0], [1, 0]]), (2, 2))


def _components() -> object:
    return components.merge(_labels(), 2.0, True)


def _prototypes() -> object:
    return directions.sums(_rows(), (2, 2), _labels(), 3)


def _masks() -> object:
    return run_lengths.encode_with_boxes(_labels(), 2), run_lengths.boxes_of(_labels(), 2)


def _search() -> object:
    return nearest.search(_rows(), _rows(1), 1, None)


def _search_after_edits() -> object:
    return nearest.insert(nearest.search(_rows(), _rows(1), 1, None), _rows(1), 4, _rows(1), 1, None)


def _cosines() -> object:
    return nearest.cosines(_rows(), _rows(1), np.zeros((1, 1), dtype=np.int64))


def _stopping() -> object:
    """Loops that run only when a thread fails, and float32 sorting where int8 is the default."""
    components.stop(counters(components.COUNTERS))
    kmeans.stop(counters(kmeans.FIRST + 2), 1)
    return kmeans.sort(_rows(), np.array([0, 0, 1, 1]), 2, 1, 1)


STEPS = (
    Step("pixel sorting", _sorting, 7, _CPU),
    Step("nearest exemplars", _search, 6, _CPU),
    Step("connected components", _components, 10, _BOTH),
    Step("outlines", _outlines, 3, _CPU),
    Step("pixel features", _features, 2, _CPU),
    Step("masks", _masks, 5, _BOTH),
    Step("prototypes", _prototypes, 1, _CPU),
    Step("image planes", _planes, 0.5, _CPU),
    Step("nearest exemplars after edits", _search_after_edits, 1.5),
    Step("cosines", _cosines, 0.5, _DEVICE),
    Step("failures", _stopping, 0.5),
)


def begin(processes: int, on_device: bool = False) -> Callable[[], None]:
    """Begin to compile what a first answer needs, unless an earlier process has left compiled loops.

    Args:
        processes: how many to use, this one included.
        on_device: whether pixels are sorted on a device, where fewer loops are needed.

    Returns:
        A function that waits until these loops are compiled, and lets a thread compile the others.
    """
    if loops_are_kept():
        return lambda: None
    _log.info("compiling loops for this processor: this start takes longer than the next")
    first = [step for step in STEPS if ("device" if on_device else "cpu") in step.first]
    later = [step for step in STEPS if step not in first]
    progress = _Progress(len(first))
    shares = _shares(first, max(1, processes) if folder_of_loops() is not None else 1)
    others = [other for share in shares[1:] if (other := _start_process(share, progress)) is not None]
    own = threading.Thread(target=_run, args=(shares[0], progress.begin), name="segsort-compiling")
    own.start()

    def wait() -> None:
        own.join()
        for other in others:
            other.join()
        threading.Thread(target=_run, args=(later, lambda name: None), name="segsort-compiling", daemon=True).start()

    return wait


class _Progress:
    """Logs each step that begins, in this process and in others."""

    def __init__(self, count: int) -> None:
        self._count, self._begun, self._lock = count, 0, threading.Lock()

    def begin(self, name: str) -> None:
        """Log that a step begins."""
        with self._lock:
            self._begun += 1
            _log.info("compiling loops %d of %d: %s", self._begun, self._count, name)


def _shares(steps: Sequence[Step], count: int) -> list[list[Step]]:
    """Distribute steps so that the shares cost about the same, expensive steps first; without empty shares."""
    shares: list[list[Step]] = [[] for _ in range(count)]
    for step in sorted(steps, key=lambda step: -step.cost):
        min(shares, key=lambda share: sum(other.cost for other in share)).append(step)
    return [share for share in shares if share]


def _run(steps: Sequence[Step], begin: Callable[[str], None]) -> None:
    """Compile steps one after the other. A failure is logged, and the loop fails again at its first use."""
    with at_most(1):
        for step in steps:
            begin(step.name)
            try:
                step.run()
            except Exception:
                _log.exception("loops could not be compiled: %s", step.name)


def _start_process(steps: Sequence[Step], progress: _Progress) -> threading.Thread | None:
    """Compile steps in another process; the thread that is returned ends with it. None if it cannot be started."""
    folder = folder_of_loops()
    command = [sys.executable, "-m", "segsort.loops.compiling", *(step.name for step in steps)]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder.parent if folder is not None else "")}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
    except OSError:
        return None

    def follow() -> None:
        timer = threading.Timer(_PATIENCE, process.kill)
        timer.daemon = True
        timer.start()
        with process:
            for line in process.stdout or ():
                progress.begin(line.strip())
        timer.cancel()

    thread = threading.Thread(target=follow, name="segsort-compiling")
    thread.start()
    return thread


def main(names: Sequence[str]) -> None:
    """Compile the named steps, or all if none is named, and print the name of each as it begins."""
    known = {step.name: step for step in STEPS}
    with suppress(BrokenPipeError):  # the process that asked has ended
        _run([known[name] for name in names or known], lambda name: print(name, flush=True))


if __name__ == "__main__":
    main(sys.argv[1:])
