"""Progress bars on standard error; standard output is kept for results."""

from collections.abc import Iterable, Iterator
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, track

T = TypeVar("T")


def counted(count: int, what: str) -> Iterator[int]:
    """Yield 0..count-1 and show a progress bar with the text `what`."""
    yield from track(range(count), description=what, total=count, console=Console(stderr=True))


def shown(results: Iterable[T], count: int, what: str) -> Iterator[T]:
    """Yield results as they come and show a progress bar of `count` steps with the text `what`."""
    yield from track(results, description=what, total=count, console=Console(stderr=True))


class StageBars:
    """A progress bar for each stage of a work, shown as the stages come."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bars as they are, so that others can be shown."""
        self._progress.stop()

    def show(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)
