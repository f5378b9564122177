"""Progress on standard error, so that standard output stays free for results."""

from collections.abc import Iterator

from rich.console import Console
from rich.progress import track


def counted(count: int, what: str) -> Iterator[int]:
    """0..count-1 under a progress bar that says `what`."""
    yield from track(range(count), description=what, total=count, console=Console(stderr=True))


def spread(count: int, most: int) -> list[int]:
    """At most `most` of 0..count-1, evenly spread."""
    most = min(most, count)
    return sorted({i * count // most for i in range(most)})
