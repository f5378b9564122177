"""Keeping: what explanations need is copied from each release that is served, and removed when nothing needs it."""

import logging
import time
from collections.abc import Callable

from sqlalchemy import Engine as Database
from sqlalchemy import or_, select

from model_store.kept import KeptCopy, KeptReleases
from service.records.live_release import LiveRelease
from service.records.tables import EditRow, SegmentationRow

GRACE = 86_400.0  # seconds for which the copy of a release stays after it was served, whatever the database holds
_PAUSE = 600.0  # seconds before a copy that failed is tried again

_log = logging.getLogger("segsort.kept")


class Keeping:
    """Keeps copies, in the thread of housekeeping. The first answers of a release do not wait for its copy.

    Args:
        kept: the copies.
        database: holds the answers and edits that need them.
        served: returns the release that is served.
    """

    def __init__(self, kept: KeptReleases, database: Database, served: Callable[[], LiveRelease]) -> None:
        self.kept, self._database, self._served = kept, database, served
        self._done: str | None = None  # digest of the release that was served when it was last called
        self._not_before = 0.0

    def __call__(self) -> None:
        """Copy the served release, if it was not served at the last call, and remove the copies that nothing needs.

        Raises:
            OSError: if the disk refuses the copy, which is tried again after a while.
            SQLAlchemyError: if the database does not answer.
        """
        live = self._served()
        if live.digest == self._done or time.monotonic() < self._not_before:
            return
        self._not_before = time.monotonic() + _PAUSE
        started = time.perf_counter()
        copy = self.kept.keep(live.release)
        if copy is not None:
            _log.info(
                "kept a copy of release %s (%s) for explanations: %.1f MB, %.1f MB of them in files shared with it, "
                "in %.2f s", copy.name, copy.digest[:12], copy.size / 1e6, copy.shared / 1e6,
                time.perf_counter() - started,
            )  # fmt: skip
        self._done, self._not_before = live.digest, 0.0
        self.tidy()

    def tidy(self) -> list[KeptCopy]:
        """Remove the copies that no answer and no edit needs.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        own = self._served().digest
        removed = self.kept.remove_unused(lambda copy: copy.digest == own or is_used(self._database, copy), GRACE)
        for copy in removed:
            _log.info("removed the copy of release %s (%s), which nothing needs", copy.name, copy.digest[:12])
        return removed


def is_used(database: Database, copy: KeptCopy) -> bool:
    """Whether a recorded answer or an edit may need a copy. Those without a digest may be of any release of a name."""
    with database.connect() as connection:
        for table, column in ((SegmentationRow, SegmentationRow.segmentation_id), (EditRow, EditRow.revision)):
            own = or_(table.release_digest == copy.digest, table.release_digest.is_(None))
            if connection.execute(select(column).where(table.release == copy.name, own).limit(1)).first():
                return True
    return False
