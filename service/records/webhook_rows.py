"""Webhooks in the database: where events are sent, how far they are delivered, and which process sends them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Engine, Row, case, delete, func, insert, or_, select, text, update
from sqlalchemy.engine import RowMapping

from service.records.checksums import CHECKSUM, row_checksum, with_checksum
from service.records.notices import notify
from service.records.tables import EditRow, WebhookProgressRow, WebhookRow, now

MOST = 20  # webhooks of a database
LONGEST_LEASE = timedelta(minutes=2)  # a lease that lasts longer is from before the clock was set back
Stream = Literal["edit", "job"]
_OWN = ("webhook_id", "url", "events", "author", "created")


class Webhook(NamedTuple):
    """Where events are sent; see `WebhookRow`. The secret is left out, so that nothing can log it.

    altered: whether its row is not as it was written.
    """

    webhook_id: str
    url: str
    events: tuple[str, ...]
    author: str
    created: datetime
    altered: bool


class Progress(NamedTuple):
    """How far the events of a webhook are delivered; see `WebhookProgressRow`."""

    edit: int
    job: int
    stopped: bool
    failures: int
    failing_since: datetime | None
    next_try: datetime | None
    problem: str | None
    delivered: datetime | None
    lease: str | None
    lease_until: datetime | None

    def is_due(self, at: datetime) -> bool:
        """Whether the next event may be sent at a time, and no process has the lease then."""
        set_back = self.failing_since is not None and self.failing_since > at  # the clock was
        waits = self.next_try is not None and self.next_try > at and not set_back
        free = self.lease_until is None or not at < self.lease_until <= at + LONGEST_LEASE
        return free and not self.stopped and not waits


class Position(NamedTuple):
    """The last edit and the last ended job, by their numbers."""

    edit: int
    job: int


def waiting(webhook: Webhook, progress: Progress, end: Position) -> int:
    """How many events of a webhook wait."""
    edits = max(0, end.edit - progress.edit) if "edit.made" in webhook.events else 0
    jobs = max(0, end.job - progress.job) if "job.ended" in webhook.events else 0
    return edits + jobs


class WebhookRows:
    """The webhooks of a database.

    Args:
        database: an open database.
    """

    def __init__(self, database: Engine) -> None:
        self._database = database

    def add(self, webhook: Webhook, secret: str, ended: int) -> bool:
        """Store a webhook. It gets the events from now on.

        Args:
            webhook: the new one.
            secret: signs its events.
            ended: number of the last ended job.

        Returns:
            False where there are `MOST` already; nothing is stored then.

        Raises:
            SQLAlchemyError: if the database refuses it. Its text may contain the secret.
        """
        row = {**{name: getattr(webhook, name) for name in _OWN}, "events": " ".join(webhook.events), "secret": secret}
        with self._database.begin() as connection:
            count = connection.execute(select(func.count()).select_from(WebhookRow)).scalar_one()
            if count >= MOST:
                return False
            connection.execute(insert(WebhookRow.__table__), with_checksum(WebhookRow.__table__, row))  # type: ignore[arg-type]
            progress = {"edit": last_edit(connection), "job": ended, "stopped": False, "failures": 0}
            connection.execute(insert(WebhookProgressRow).values(webhook_id=webhook.webhook_id, **progress))
            notify(connection, "webhooks")
        return True

    def remove(self, webhook_id: str) -> bool:
        """Delete a webhook; False if there is none."""
        with self._database.begin() as connection:
            connection.execute(delete(WebhookProgressRow).where(WebhookProgressRow.webhook_id == webhook_id))
            done = connection.execute(delete(WebhookRow).where(WebhookRow.webhook_id == webhook_id))
        return bool(done.rowcount)

    def all(self) -> list[tuple[Webhook, Progress]]:
        """All webhooks, the oldest first, and how far each is."""
        with self._database.connect() as connection:
            return _read(connection)

    def get(self, webhook_id: str) -> tuple[Webhook, Progress] | None:
        """A webhook, and how far it is; None if there is none."""
        return next((one for one in self.all() if one[0].webhook_id == webhook_id), None)

    def secret(self, webhook_id: str) -> str | None:
        """What signs the events of a webhook; None if there is none."""
        with self._database.connect() as connection:
            query = select(WebhookRow.secret).where(WebhookRow.webhook_id == webhook_id)
            return connection.execute(query).scalar()

    def end(self, ended: int) -> Position:
        """The position after the last event. ended: number of the last ended job."""
        with self._database.connect() as connection:
            return Position(last_edit(connection), ended)

    def resume(self, webhook_id: str, to: Position | None = None) -> bool:
        """Send the events of a webhook again, at once.

        Args:
            webhook_id: of the webhook.
            to: events up to there are left out, also by a delivery that is under way; None: none is.

        Returns:
            False if there is none.
        """
        moved = {} if to is None else _moved_on(to)
        return self._change(
            webhook_id, stopped=False, failures=0, failing_since=None, next_try=None, problem=None, **moved
        )

    def time(self) -> datetime:
        """The present time, as all processes over the database see it."""
        with self._database.connect() as connection:
            return _time(connection)

    def take_lease(self, webhook_id: str, owner: str, seconds: float) -> bool:
        """Let one process send the events of a webhook for a time.

        Returns:
            Whether it has the lease. Not if another process has it, or the webhook is stopped or deleted.
        """
        columns = WebhookProgressRow
        with self._changing() as (connection, time):
            until = columns.lease_until
            is_free = or_(columns.lease.is_(None), until <= time, until > time + LONGEST_LEASE)
            values = {"lease": owner, "lease_until": time + timedelta(seconds=seconds)}
            mine = (columns.webhook_id == webhook_id, columns.stopped.is_(False), is_free)
            return bool(connection.execute(update(columns).where(*mine).values(**values)).rowcount)

    def give_lease_back(self, webhook_id: str, owner: str) -> None:
        """Let other processes send."""
        self._change(webhook_id, owner, lease=None, lease_until=None)

    def advance(self, webhook_id: str, owner: str, stream: Stream, number: int, seconds: float) -> bool:
        """Note that an event was delivered, and renew the lease. Events that were left out meanwhile stay left out.

        Args:
            webhook_id: of the webhook.
            owner: the process.
            stream: what the event is about.
            number: of the edit or the ended job.
            seconds: how long the lease lasts from now on.

        Returns:
            Whether the process still had the lease, and the event was still waiting. If not, nothing is changed.
        """
        with self._changing() as (connection, time):
            columns = WebhookProgressRow
            values = {
                stream: number, "failures": 0, "failing_since": None, "next_try": None, "problem": None,
                "delivered": time, "lease_until": time + timedelta(seconds=seconds),
            }  # fmt: skip
            waits = getattr(columns, stream) < number
            mine = (columns.webhook_id == webhook_id, columns.lease == owner, waits)
            return bool(connection.execute(update(columns).where(*mine).values(**values)).rowcount)

    def fail(self, webhook_id: str, owner: str, problem: str, pause: float) -> None:
        """Note that the next event was not delivered, and give the lease back. pause: seconds until the next try."""
        with self._changing() as (connection, time):
            columns = WebhookProgressRow
            values = {
                "failures": columns.failures + 1, "failing_since": func.coalesce(columns.failing_since, time),
                "next_try": time + timedelta(seconds=pause), "problem": problem, "lease": None, "lease_until": None,
            }  # fmt: skip
            mine = (columns.webhook_id == webhook_id, columns.lease == owner)
            connection.execute(update(columns).where(*mine).values(**values))

    def skip(self, webhook_id: str, owner: str, to: Position) -> None:
        """Leave out the events up to a position, of which the rows are gone."""
        self._change(webhook_id, owner, **_moved_on(to))

    def stop(self, webhook_id: str, problem: str) -> None:
        """Send nothing more to a webhook until it is resumed. problem: why."""
        self._change(webhook_id, stopped=True, problem=problem, lease=None, lease_until=None)

    @contextmanager
    def _changing(self) -> "Iterator[tuple[Connection, datetime]]":
        """A transaction, and the time."""
        with self._database.begin() as connection:
            yield connection, _time(connection)

    def _change(self, webhook_id: str, owner: str | None = None, **values: Any) -> bool:
        columns = WebhookProgressRow
        mine = [columns.webhook_id == webhook_id, *([] if owner is None else [columns.lease == owner])]
        with self._database.begin() as connection:
            return bool(connection.execute(update(columns).where(*mine).values(**values)).rowcount)


def _moved_on(to: Position) -> dict[str, Any]:
    """The values of an update to a position, which leaves numbers that are further on by then."""
    columns = {name: getattr(WebhookProgressRow, name) for name in Position._fields}
    return {
        name: case((column < getattr(to, name), getattr(to, name)), else_=column) for name, column in columns.items()
    }


def last_edit(connection: Connection) -> int:
    """The revision of the last edit that is in the log; 0: there is none."""
    return int(connection.execute(select(func.coalesce(func.max(EditRow.revision), 0))).scalar_one())


def _time(connection: Connection) -> datetime:
    """The time in UTC: of the server, or of the only machine that has the file."""
    if connection.dialect.name != "postgresql":
        return now()
    time: datetime = connection.execute(text("SELECT clock_timestamp() AT TIME ZONE 'UTC'")).scalar_one()
    return time


def _read(connection: Connection) -> list[tuple[Webhook, Progress]]:
    query = select(WebhookRow.__table__).order_by(WebhookRow.created, WebhookRow.webhook_id)
    rows = connection.execute(query).mappings().all()  # to the end of the cursor, also where the next query fails
    progress = {row.webhook_id: row for row in connection.execute(select(WebhookProgressRow.__table__)).all()}
    return [(_webhook(row), _progress(progress[row["webhook_id"]])) for row in rows if row["webhook_id"] in progress]


def _webhook(row: RowMapping) -> Webhook:
    altered = row[CHECKSUM] != row_checksum("webhooks", row)
    return Webhook(**{name: row[name] for name in _OWN} | {"events": tuple(row["events"].split())}, altered=altered)


def _progress(row: "Row[Any]") -> Progress:
    return Progress(*(getattr(row, name) for name in Progress._fields))
