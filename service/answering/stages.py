"""Stages: the named steps of an answer, timed, so that one that fails is known by its name."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from service.problems import Problem


class StageFailure(RuntimeError):
    """A stage raised what it never should; the cause is chained."""

    def __init__(self, stage: str) -> None:
        super().__init__(f"the stage {stage} failed")
        self.stage = stage


class Stages:
    """How long each stage of one answer took: milliseconds by name, in their order, and when each began: nanoseconds
    since the epoch.
    """

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self.begun_ns: dict[str, int] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block.

        Raises:
            StageFailure: if it raises anything but a Problem.
        """
        self.begun_ns[name], started = time.time_ns(), time.perf_counter()
        try:
            yield
        except Problem:
            raise
        except Exception as error:
            raise StageFailure(name) from error
        finally:
            self.ms[name] = (time.perf_counter() - started) * 1000
