"""How many edits of earlier releases of the served release's name wait, without a look at the database each time."""

import logging
import threading

from sqlalchemy import Engine as Database

from service.records.earlier_edits import carried_of, earlier_groups
from service.records.live_release import LiveRelease

_log = logging.getLogger("segsort.live")


class EarlierEdits:
    """Counts the edits that were made on earlier releases of a name and not carried over.

    Args:
        database: holds the log of edits.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counted: tuple[str, int, int] = ("", -1, 0)  # digest, revision of the log, count
        self._refreshing = threading.Lock()  # so that one number is logged once
        self._logged: tuple[str, frozenset[str]] = ("", frozenset())  # digest, and those of the releases of the edits

    def count(self, live: LiveRelease) -> int:
        """The number for a release, as of the last `refresh`; 0 before it."""
        digest, _, count = self._counted
        return count if digest == live.digest else 0

    def refresh(self, live: LiveRelease) -> None:
        """Count again if the log has grown. The number is logged when edits of a further release wait.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        with self._refreshing:
            self._refresh(live)

    def _refresh(self, live: LiveRelease) -> None:
        revision = live.state.revision
        if self._counted[:2] == (live.digest, revision):
            return
        with self._database.connect() as connection:
            groups = earlier_groups(connection, live.key, carried_of(live.log))
        count = sum(group.edits for group in groups)
        self._counted = live.digest, revision, count
        digests = frozenset(group.digest for group in groups)
        known = self._logged[1] if self._logged[0] == live.digest else frozenset()
        self._logged = live.digest, digests
        if digests - known:
            _log.warning(
                "%d edits were made on an earlier release of the name %s; they are kept and have no effect on this one "
                "(%s); `segsort releases carry %s` carries them over", count, live.name, live.digest[:12], live.name,
            )  # fmt: skip
