"""The order in which jobs ended.

A job has the time of its end, but times do not order jobs: clocks differ and are set back, and a transaction may be
committed after a later one. So whoever sends webhooks numbers the jobs that have ended, in a table of its own. Numbers
become visible in their order, because two processes cannot insert the same one.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select
from sqlalchemy.dialects import postgresql, sqlite

from service.records.tables import EndedJobRow, JobRow, now

_AT_ONCE = 500
_MARGIN = timedelta(days=1)  # by which clocks of machines may differ; jobs that are older are found at the next start


class EndedJobs:
    """Numbers the jobs of a database that have ended, from 1.

    Args:
        database: an open database.
    """

    def __init__(self, database: Engine) -> None:
        self._database = database
        self._since: datetime | None = None  # jobs that ended before have their number; None: that is not known

    def number(self) -> int:
        """Number the jobs that have ended since the last call, and return the last number.

        Raises:
            SQLAlchemyError: if the database refuses it.
        """
        while True:
            with self._database.connect() as connection:
                found = connection.execute(self._new()).scalars().all()
                last = last_ended(connection)
            if not found:
                self._since = now() - _MARGIN
                return last
            with self._database.begin() as connection:
                for job_id in found:
                    connection.execute(_insert(connection.dialect.name), {"job_id": job_id})

    def _new(self) -> Select[Any]:
        query = (
            select(JobRow.job_id)
            .outerjoin(EndedJobRow, EndedJobRow.job_id == JobRow.job_id)
            .where(JobRow.ended.is_not(None), EndedJobRow.job_id.is_(None))
            .order_by(JobRow.ended, JobRow.job_id)
            .limit(_AT_ONCE)
        )
        return query if self._since is None else query.where(JobRow.ended >= self._since)


def last_ended(connection: Connection) -> int:
    """The number of the last job that has one; 0: there is none."""
    return int(connection.execute(select(func.coalesce(func.max(EndedJobRow.number), 0))).scalar_one())


def _insert(dialect: str) -> Any:
    """Give a job the next number, unless another process just did, or took the number."""
    made: Any = {"postgresql": postgresql, "sqlite": sqlite}[dialect]
    number = select(func.coalesce(func.max(EndedJobRow.number), 0) + 1).scalar_subquery()
    return made.insert(EndedJobRow.__table__).values(number=number).on_conflict_do_nothing()
