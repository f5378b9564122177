"""Events: what is sent about an edit and about a job that has ended, made from their rows.

An event has the same id and the same bytes whenever it is made, so nothing is stored for it.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

import orjson
from sqlalchemy import Connection, select

from service.records.tables import EditRow, EndedJobRow, JobRow, iso, now
from service.records.webhook_rows import Position, Stream

Name = Literal["edit.made", "job.ended"]
NAMES: tuple[Name, ...] = get_args(Name)
AT_ONCE = 50  # events that are in memory for one webhook
_PART_OF_HASH = 16  # hexadecimal digits


class Event(NamedTuple):
    """Something that happened.

    event_id: the same in each try and for every webhook; stream, number: its place; at: when it happened; body: JSON.
    """

    event_id: str
    stream: Stream
    number: int
    at: datetime
    body: bytes


def next_events(connection: Connection, names: Sequence[str], after: Position, root_path: str) -> list[Event]:
    """The next events after a position, at most `AT_ONCE`, in the order in which they happened.

    Edits are in the order of their revisions, and jobs in the order of their ends, whatever their times. Edits and jobs
    that are no longer there are left out.

    Args:
        connection: to the database.
        names: of the events that are wanted.
        after: what was delivered.
        root_path: path below which a proxy publishes the service.
    """
    edits = _edits(connection, after.edit, root_path) if "edit.made" in names else []
    jobs = _jobs(connection, after.job, root_path) if "job.ended" in names else []
    merged: list[Event] = []
    while (edits or jobs) and len(merged) < AT_ONCE:
        first = edits if not jobs or (edits and edits[0].at <= jobs[0].at) else jobs
        merged.append(first.pop(0))
    return merged


def new_test_event(webhook_id: str) -> Event:
    """An event that says nothing but the webhook's id."""
    at = now()
    body = _body("webhook.test", at, {"webhook_id": webhook_id})
    return Event(f"test_{secrets.token_hex(_PART_OF_HASH // 2)}", "edit", 0, at, body)


def _edits(connection: Connection, after: int, root_path: str) -> list[Event]:
    names = ("revision", "kind", "release", "release_digest", "author", "created", "digest")
    query = select(*(getattr(EditRow, name) for name in names)).where(EditRow.revision > after)
    rows = connection.execute(query.order_by(EditRow.revision).limit(AT_ONCE)).all()
    return [_edit_made(row, root_path) for row in rows]


def _edit_made(row: Any, root_path: str) -> Event:
    data = {
        "revision": row.revision,
        "kind": row.kind,
        "release": row.release,
        "release_digest": row.release_digest,
        "author": row.author,
        "url": f"{root_path}/edits/{row.revision}",
    }
    event_id = f"edit_{row.revision}_{row.digest[:_PART_OF_HASH]}"
    return Event(event_id, "edit", row.revision, row.created, _body("edit.made", row.created, data))


def _jobs(connection: Connection, after: int, root_path: str) -> list[Event]:
    names = ("job_id", "kind", "state", "release", "release_digest", "author", "ended")
    query = (
        select(EndedJobRow.number, *(getattr(JobRow, name) for name in names))
        .join(JobRow, JobRow.job_id == EndedJobRow.job_id)
        .where(EndedJobRow.number > after)
        .order_by(EndedJobRow.number)
        .limit(AT_ONCE)
    )
    return [_job_ended(row, root_path) for row in connection.execute(query).all()]


def _job_ended(row: Any, root_path: str) -> Event:
    data = {
        "job_id": row.job_id,
        "kind": row.kind,
        "state": row.state,
        "release": row.release,
        "release_digest": row.release_digest,
        "author": row.author,
        "url": f"{root_path}/jobs/{row.job_id}",
    }
    return Event(f"job_{row.job_id}", "job", row.number, row.ended, _body("job.ended", row.ended, data))


def _body(name: str, at: datetime, data: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": name, "timestamp": iso(at), "data": data})
