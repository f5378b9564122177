"""Carrying over edits of earlier releases: a job whose child process runs the network, and that makes one edit."""

from collections.abc import Mapping
from pathlib import Path

from service.adapting.background import BackgroundJobs
from service.adapting.work import JobResult
from service.answering.engine import Engine
from service.answering.remeasuring import Recorded, Remeasuring
from service.editing.carry import CarryOver, OpenCopy
from service.records.database import Records
from service.records.follower import Author, Follower
from service.records.jobs import Job
from service.records.live_release import LiveRelease
from service.settings import Settings

MEASURED = "measured.npz"  # in the folder of the job: what the child process writes


class Carrying:
    """Starts jobs that carry edits over to the served release.

    Args:
        engine: serves the release.
        background: works on the jobs.
    """

    def __init__(self, engine: Engine, background: BackgroundJobs) -> None:
        self._engine, self._background = engine, background

    def begin(self, live: LiveRelease, author: Author) -> Job:
        """Start to carry over all edits of earlier releases of the name that wait.

        Raises:
            Problem: 409 if a job is under way, or the database is in memory; 503 if the disk or the database refuses
                it.
        """
        self._background.check_database()
        engine = self._engine
        work = CarryWork(engine.records, engine.follower, live, engine.settings, engine.catalogue.kept.open, author)
        return self._background.begin(author, work)


class CarryWork:
    """The work of carrying edits over, see `Work`.

    Args:
        records: the database.
        follower: appends to its log.
        live: the release.
        settings: threads of the network, and the largest images.
        open_copy: opens a copy of an earlier release.
        author: who makes the edit, and why.
    """

    kind = "carry"
    last = "edit"
    needs_pytorch = False
    shares: Mapping[str, float] = {"images": 0.95}

    def __init__(
        self, records: Records, follower: Follower, live: LiveRelease, settings: Settings, open_copy: OpenCopy,
        author: Author,
    ) -> None:  # fmt: skip
        self._records, self._follower, self._live, self._settings = records, follower, live, settings
        self._open_copy, self._author = open_copy, author
        self.release, self.release_digest = live.name, live.digest

    def command(self, folder: Path) -> list[str]:
        """`segsort releases carry`, which only measures, and leaves the prototypes in the folder."""
        command = ["releases", "carry", str(self._live.release.path.absolute()), "--measure", str(folder / MEASURED)]
        return [*command, "--threads", str(self._settings.adapt_cores)]

    def in_words(self, problem: str) -> str:
        """Why the job failed: as the command says it."""
        return problem

    def finish(self, folder: Path, author: str, done: JobResult) -> JobResult:
        """Make the edit, with the prototypes that the child measured."""
        if done["release_digest"] != self.release_digest:
            raise ValueError(f"the folder of release {self.release!r} was changed; activate it again")
        network = Recorded(folder / MEASURED, Remeasuring(self._live.release, self._settings))
        carried = CarryOver(self._records, self._follower, self._live, network, self._open_copy)(self._author)
        edit = carried.edit
        return {
            "release": self.release,
            "index_revision": self._live.state.revision,
            "revision": None if edit is None else edit.revision,
            "summary": None if edit is None else edit.payload["summary"],
            "exemplars": carried.exemplars,
            "left": carried.left,
        }
