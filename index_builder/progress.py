"""Progress bars on standard error; standard output is kept for results."""

from collections.abc import Iterator

from rich.console import Console
from rich.progress import track


def counted(count: int, what: str) -> Iterator[int]:
    """Yield 0..count-1 and show a progress bar with the text `what`."""
    yield from track(range(count), description=what, total=count, console=Console(stderr=True))
