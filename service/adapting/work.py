"""What a background job does: the command of its child process, and what is made of the child's result."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

JobResult = dict[str, Any]


class Work(Protocol):
    """The work of one job.

    Attributes:
        kind: of the job.
        release: name of the release that is served when it begins.
        release_digest: identifies it.
        shares: share of the whole progress by stage of the child, in their order; the rest is the stage `last`.
        last: stage in which the result is stored.
        needs_pytorch: whether the child process does.
    """

    kind: str
    release: str
    release_digest: str
    shares: Mapping[str, float]
    last: str
    needs_pytorch: bool

    def command(self, folder: Path) -> list[str]:
        """Prepare the folder of the job, and return the arguments of `segsort` for the child process.

        Raises:
            ValueError: if it cannot begin.
        """
        ...

    def finish(self, folder: Path, author: str, done: JobResult) -> JobResult:
        """Store what the child left in the folder, and return the result of the job.

        Args:
            folder: where the child worked; it is removed afterwards.
            author: who asked for the job.
            done: the JSON that the child printed.
        """
        ...

    def in_words(self, problem: str) -> str:
        """Why the job failed, without paths of this machine."""
        ...
