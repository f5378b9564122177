"""Sessions of browsers in the database, which all processes over it share."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, delete, insert, or_, select, update

from service.records.tables import SessionRow

MOST = 50  # sessions of one key; a further sign-in ends those that were not used for the longest time


class StoredSession(NamedTuple):
    """A session as it is stored; see `SessionRow`."""

    token_hash: str
    name: str
    key_digest: str
    created: datetime
    last_used: datetime


class Expiry(NamedTuple):
    """Sessions end if they were created before one time, or last used before the other."""

    created: datetime
    last_used: datetime


_COLUMNS = [getattr(SessionRow, name) for name in StoredSession._fields]


def find_session(database: Engine, token_hash: str) -> StoredSession | None:
    """A session by the hash of its token; None if there is none."""
    with database.connect() as connection:
        row = connection.execute(select(*_COLUMNS).where(SessionRow.token_hash == token_hash)).one_or_none()
    return None if row is None else StoredSession(*row)


def add_session(database: Engine, session: StoredSession, expiry: Expiry) -> None:
    """Store a session. Expired ones of all keys are deleted, and the oldest beyond `MOST` of the same key."""
    expired = or_(SessionRow.created < expiry.created, SessionRow.last_used < expiry.last_used)
    of_key = select(SessionRow.token_hash).where(SessionRow.name == session.name).order_by(SessionRow.last_used.desc())
    with database.begin() as connection:
        connection.execute(insert(SessionRow).values(**session._asdict()))
        connection.execute(delete(SessionRow).where(expired))
        surplus = connection.execute(of_key.offset(MOST)).scalars().all()
        connection.execute(delete(SessionRow).where(SessionRow.token_hash.in_(surplus)))


def delete_session(database: Engine, token_hash: str) -> None:
    """Delete a session; nothing happens if there is none."""
    with database.begin() as connection:
        connection.execute(delete(SessionRow).where(SessionRow.token_hash == token_hash))


def touch_sessions(database: Engine, token_hashes: Collection[str], used: datetime) -> None:
    """Set the time when sessions were last used."""
    with database.begin() as connection:
        connection.execute(update(SessionRow).where(SessionRow.token_hash.in_(token_hashes)).values(last_used=used))
