"""Stages: the named and timed steps of an answer, so that an error names the step that failed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from service.problems import Problem


class StageFailure(RuntimeError):
    """A stage raised an unexpected error, which is the `__cause__`."""

    def __init__(self, stage: str) -> None:
        super().__init__(f"the stage {stage} failed")
        self.stage = stage


class Stages:
    """Times of the stages of one answer.

    ms: durations by name, milliseconds, in the order of the stages; begun_ns: starts by name, nanoseconds since 1970.
    """

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self.begun_ns: dict[str, int] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block. The times of several blocks of one name are added.

        Raises:
            StageFailure: if the block raises any other exception than Problem.
        """
        self.begun_ns.setdefault(name, time.time_ns())
        started = time.perf_counter()
        try:
            yield
        except Problem:
            raise
        except Exception as error:
            raise StageFailure(name) from error
        finally:
            self.ms[name] = self.ms.get(name, 0.0) + (time.perf_counter() - started) * 1000
