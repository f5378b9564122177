"""Connections to the database, and transactions that survive a power cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

BUSY_TIMEOUT = 10  # seconds that a statement waits while another connection locks an SQLite database


def connect(url: str) -> Engine:
    """An engine for a database, which connects when it is first used.

    Args:
        url: SQLAlchemy URL. The folder of an SQLite file is created, unless the file is given as a URI.

    Raises:
        SQLAlchemyError: if the URL is malformed.
        ImportError: if the driver is not installed.
        OSError: if the folder cannot be created.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    options: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT, "check_same_thread": False}}
    if not parsed.database or parsed.database == ":memory:":
        # every connection would have a database of its own
        options |= {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0}
    elif not parsed.database.startswith("file:"):  # a URI, whose path may have any form
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, **options)

    @event.listens_for(engine, "connect")
    def write_ahead(connection: Any, _: Any) -> None:
        # A committed answer survives the death of the process. A power cut may lose the last answers.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


@contextmanager
def durable_transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that survives a power cut once it is committed.

    It is committed when the block ends, unless the block rolled it back or raised.
    """
    with engine.connect() as connection:
        _set_synchronous(connection, "FULL")
        try:
            yield connection
            connection.commit()
        finally:
            connection.rollback()
            _set_synchronous(connection, "NORMAL")


def _set_synchronous(connection: Connection, level: str) -> None:
    if connection.dialect.name == "sqlite" and not connection.invalidated:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.commit()
