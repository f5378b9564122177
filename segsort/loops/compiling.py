"""Compile the loops before they are needed: in several processes, in the order of use, with progress in the log.

numba compiles one loop at a time in a process, whatever the number of threads. Therefore other processes compile a
share of the loops into the folder of compiled loops, where this process finds them. Run as a program, this module is
such a process: `python -m segsort.loops.compiling [STEP...]`.
"""

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import IO, NamedTuple

import numpy as np

from segsort.loops import (
    components,
    directions,
    kmeans,
    kmeans_bytes,
    location,
    nearest,
    outline,
    planes,
    resizing,
    run_lengths,
    splitting,
)  # fmt: skip
from segsort.loops.cache import folder_of_loops, loops_are_kept, mark_complete
from segsort.loops.sharing import counters
from segsort.loops.threads import at_most

_log = logging.getLogger("segsort.loops")
_PATIENCE = 300.0  # seconds that other processes may take
_MAX_PROCESSES = 4  # the longest step takes a quarter of all, and each process needs about 180 MB
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
    small = resizing.resize(np.zeros((3, 3, 3), dtype=np.uint8), (2, 2))
    resizing.split(np.zeros((2, 2, 3), dtype=np.uint8))
    return planes.normalise(small, one, one, (2, 2))


def _features() -> object:
    return location.append(np.ones((2, 2, 2), dtype=np.float32), 1.0)


def _sorting() -> object:
    module = kmeans_bytes if kmeans_bytes.supported() else kmeans
    return module.sort(_rows(), np.array([0, 0, 1, 1]), 2, 1, 1)


def _outlines() -> object:
    return outline.labels_of(_rows(), _rows(2), np.array([[0, 0], [1, 0]]), (2, 2))


def _parts() -> object:
    labels, weights = np.array([0, 0, 1, 1]), _rows(2, 2)
    return splitting.split(_rows(), labels, 2, weights, np.zeros(2, dtype=np.float32), 1)


def _components() -> object:
    return components.merge(_labels(), 2.0, True)


def _prototypes() -> object:
    return directions.sums(_rows(), (2, 2), _labels(), 3)


def _masks() -> object:
    encoded = run_lengths.encode_with_boxes(_labels(), 2)
    return encoded, run_lengths.boxes_of(_labels(), 2), run_lengths.column_runs(_labels())


def _search() -> object:
    return nearest.search(_rows(), _rows(1), 1, None)


def _search_after_edits() -> object:
    return nearest.insert(nearest.search(_rows(), _rows(1), 1, None), _rows(1), 4, _rows(1), 1, None)


def _cosines() -> object:
    return nearest.cosines(_rows(), _rows(1), np.zeros((1, 1), dtype=np.int64))


def _recorded() -> object:
    return nearest.portable_cosines(_rows(), _rows(1), np.zeros((1, 1), dtype=np.int64))


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
    Step("parts of segments", _parts, 1.5, _CPU),
    Step("image planes", _planes, 2, _CPU),
    Step("recorded cosines", _recorded, 0.5, _BOTH),
    Step("nearest exemplars after edits", _search_after_edits, 1.5),
    Step("cosines", _cosines, 0.5, _DEVICE),
    Step("failures", _stopping, 0.5),
)


class Compiling:
    """Loops that are being compiled. As a context it waits at its end, or cancels if the block fails.

    Args:
        first: steps that this process compiles now, in a thread.
        helpers: processes that compile the other steps.
        later: steps that this process compiles once all of these are done.
        progress: where each step of this process is logged.
    """

    def __init__(
        self, first: Sequence[Step], helpers: Sequence["_Helper"], later: Sequence[Step], progress: "_Progress"
    ) -> None:
        self._helpers, self._later, self._cancelled = helpers, later, threading.Event()
        self._thread = _start(lambda: _run(first, progress.begin, self._cancelled))

    def wait(self) -> None:
        """Wait until the first answer has its loops, and let a thread compile the others."""
        self._thread.join()
        for helper in self._helpers:
            helper.thread.join()
        _start(self._finish)

    def cancel(self) -> None:
        """End the other processes, and compile no further step. A step that has begun does not keep Python alive."""
        self._cancelled.set()
        for helper in self._helpers:
            helper.cancelled = True
            helper.process.kill()

    def _finish(self) -> None:
        if _run(self._later, lambda name: None, self._cancelled):
            mark_complete()

    def __enter__(self) -> "Compiling":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if kind is None:
                self.wait()
        except BaseException:
            self.cancel()
            raise
        if kind is not None:
            self.cancel()


def begin(processes: int, on_device: bool = False) -> AbstractContextManager[object]:
    """Begin to compile what a first answer needs, unless an earlier process has compiled all loops.

    Args:
        processes: how many to use, this one included; at most `_MAX_PROCESSES` are.
        on_device: whether pixels are sorted on a device, where fewer loops are needed.
    """
    if loops_are_kept():
        return nullcontext()
    _log.info("compiling loops for this processor: this start takes longer than the next")
    first = [step for step in STEPS if ("device" if on_device else "cpu") in step.first]
    later = [step for step in STEPS if step not in first]
    progress = _Progress(len(first))
    count = max(1, min(processes, _MAX_PROCESSES)) if folder_of_loops() is not None else 1
    shares = _shares(first, count)
    helpers = [helper for share in shares[1:] if (helper := _start_helper(share, progress)) is not None]
    return Compiling(shares[0], helpers, later, progress)


def _start(work: Callable[[], object]) -> threading.Thread:
    """Run work in a thread that does not keep Python alive."""
    thread = threading.Thread(target=work, name="segsort-compiling", daemon=True)
    thread.start()
    return thread


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


def _run(steps: Sequence[Step], begin: Callable[[str], None], cancelled: threading.Event | None = None) -> bool:
    """Compile steps one after the other, until cancelled.

    A failure is logged, and the loop fails again at its first use.

    Returns:
        Whether all steps were compiled.
    """
    compiled = 0
    with at_most(1):
        for step in steps:
            if cancelled is not None and cancelled.is_set():
                break
            begin(step.name)
            try:
                step.run()
                compiled += 1
            except Exception:
                _log.exception("loops could not be compiled: %s", step.name)
    return compiled == len(steps)


class _Helper:
    """Another process that compiles a share of the steps, and the thread that follows it."""

    def __init__(self, process: "subprocess.Popen[str]", errors: IO[str], progress: "_Progress") -> None:
        self.process, self.cancelled, self._errors, self._progress = process, False, errors, progress
        self.thread = _start(self._follow)

    def _follow(self) -> None:
        timer = threading.Timer(_PATIENCE, self.process.kill)
        timer.daemon = True
        timer.start()
        with self.process, self._errors:
            for line in self.process.stdout or ():
                self._progress.begin(line.strip())
            if self.process.wait() != 0 and not self.cancelled:
                self._errors.seek(0)
                reason = self._errors.read().strip().splitlines()[-1:] or ["no message"]
                _log.warning(
                    "a process that compiled loops ended with status %d (%s): this process compiles them",
                    self.process.returncode, reason[0],
                )  # fmt: skip
        timer.cancel()


def _start_helper(steps: Sequence[Step], progress: "_Progress") -> _Helper | None:
    """Compile steps in another process; None if it cannot be started."""
    folder = folder_of_loops()
    command = [sys.executable, "-P", "-m", "segsort.loops.compiling", *(step.name for step in steps)]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder.parent if folder is not None else "")}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 # the helper's thread closes it
    try:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    except OSError:
        errors.close()
        return None
    return _Helper(process, errors, progress)


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, also without a signal."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main(names: Sequence[str]) -> None:
    """Compile the named steps, or all if none is named, and print the name of each as it begins."""
    known = {step.name: step for step in STEPS}
    with suppress(BrokenPipeError):  # the process that asked has ended
        if _run([known[name] for name in names or known], lambda name: print(name, flush=True)) and not names:
            mark_complete()


if __name__ == "__main__":
    started_by = os.getppid()
    _start(lambda: _end_with(started_by))
    main(sys.argv[1:])
