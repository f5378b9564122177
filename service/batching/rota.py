"""Whose turn it is: authors with jobs take turns, image by image; the jobs of each are worked on in their order."""

from collections.abc import Iterable

from service.batching.work import Work


class Rota:
    """Chooses the next image. It runs on one event loop."""

    def __init__(self) -> None:
        self._turns: dict[str, int] = {}  # when an author had its last turn, by a count of turns

    def next(self, works: Iterable[Work]) -> tuple[Work, int] | None:
        """A job, and the position of its next image, which is worked on from now on; None: nothing waits."""
        by_author: dict[str, Work] = {}
        for work in sorted(works, key=lambda one: (one.job.created, one.job.job_id)):
            if work.waiting and not work.cancelled:
                by_author.setdefault(work.job.author, work)
        if not by_author:
            return None
        author = min(by_author, key=lambda one: self._turns.get(one, 0))
        self._turns = {one: turn for one, turn in self._turns.items() if one in by_author}
        self._turns[author] = max(self._turns.values(), default=0) + 1
        position = by_author[author].waiting.popleft()
        by_author[author].running.add(position)
        return by_author[author], position
