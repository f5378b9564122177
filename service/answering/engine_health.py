"""Engine health: whether the last answer failed in a stage that must not fail, and whether a probe fails too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.answering.stages import StageFailure


class EngineHealth:
    """Remembers the last stage failure until an answer or a probe succeeds.

    Args:
        run_probe: answers a probe image; raises TimeoutError if the network does not become free.

    Attributes:
        failure: why the last answer failed; None if it did not.
    """

    def __init__(self, run_probe: Callable[[], None]) -> None:
        self._run_probe = run_probe
        self.failure: str | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note whether the block raises StageFailure. A Problem says nothing about the engine and is not noted."""
        try:
            yield
            self.failure = None
        except StageFailure as failure:
            self.failure = f"{failure}: {str(failure.__cause__)[:200]}"
            raise

    def probe(self) -> list[str]:
        """Answer a probe image, which takes as long as a small image.

        Returns:
            Why the probe failed; empty if it succeeded.
        """
        try:
            self._run_probe()
            self.failure = None
            return []
        except TimeoutError:
            return ["the network does not end"]
        except Exception as error:  # any failure is the answer to the question
            return [str(error)[:200] or type(error).__name__]
