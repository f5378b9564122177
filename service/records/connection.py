"""Connections to the database, with limits on every wait, and transactions that survive a power cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.pool import QueuePool

_CONNECT_S = 5  # to reach a PostgreSQL server
_DEAD_LINE_MS = 20_000  # after which a PostgreSQL server that acknowledges nothing is given up
_KEPT = 5  # connections that stay open
_ELSEWHERE = ("25006", "57P01", "57P02", "57P03")  # SQLSTATE of a server that may no longer be written, or stops
INCREMENTAL = 2  # value of SQLite's pragma auto_vacuum
_LOG_BYTES = 32_000_000  # of the write-ahead log of SQLite that stay on the disk, once they are in the database


class Waits(NamedTuple):
    """How long statements may wait and run.

    lock: seconds that a statement waits for a lock of the database, and a request for a connection; statement: seconds
    that a statement runs, and that a transaction is idle, on PostgreSQL; connections: most that are open at once.
    """

    lock: float = 5.0
    statement: float = 60.0
    connections: int = 20


def connect(url: str, waits: Waits = Waits()) -> Engine:  # noqa: B008  # immutable
    """An engine for a database, which connects when it is first used.

    Args:
        url: SQLAlchemy URL. The folder of an SQLite file is created, unless the file is given as a URI.
        waits: how long its statements may wait.

    Raises:
        SQLAlchemyError: if the URL is malformed.
        ImportError: if the driver is not installed.
        OSError: if the folder cannot be created.
    """
    parsed = make_url(url)
    kept = min(_KEPT, waits.connections)
    pool: dict[str, Any] = {"pool_size": kept, "max_overflow": waits.connections - kept, "pool_timeout": waits.lock}
    if parsed.get_backend_name() == "sqlite":
        return _connect_sqlite(parsed, waits, pool)
    engine = create_engine(parsed, pool_pre_ping=True, connect_args=_postgresql_arguments(parsed), **pool)
    if parsed.get_backend_name() == "postgresql":
        _limit_statements(engine, waits)
        _follow_failovers(engine)
    return engine


def is_in_memory(url: URL) -> bool:
    """Whether a database is an SQLite database without a file, which lives as long as its only connection."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _connect_sqlite(url: URL, waits: Waits, pool: dict[str, Any]) -> Engine:
    options: dict[str, Any] = {"connect_args": {"timeout": waits.lock, "check_same_thread": False}} | pool
    if is_in_memory(url):  # every connection would have a database of its own
        options |= {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0}
    elif not str(url.database).startswith("file:"):  # a URI, whose path may have any form
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, **options)

    @event.listens_for(engine, "connect")
    def write_ahead(connection: Any, _: Any) -> None:
        # A committed answer survives the death of the process. A power cut may lose the last answers.
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:  # setting it again needs the lock
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file, and of one that VACUUM writes again
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cell_size_check=ON")  # a damaged page is reported, not read as other rows
        connection.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")

    return engine


def _postgresql_arguments(url: URL) -> dict[str, Any]:
    """Arguments of libpq that bound the wait for a server that is gone; those of the URL take precedence.

    Texts are UTF-8 in a database of any encoding. Without an encoding, psycopg would return bytes.
    """
    usual: dict[str, Any] = {
        "client_encoding": "utf8", "connect_timeout": _CONNECT_S, "tcp_user_timeout": _DEAD_LINE_MS,
        "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2,
    }  # fmt: skip
    return {name: value for name, value in usual.items() if name not in url.query}


def _limit_statements(engine: Engine, waits: Waits) -> None:
    limits = {
        "lock_timeout": waits.lock, "statement_timeout": waits.statement,
        "idle_in_transaction_session_timeout": waits.statement,
    }  # fmt: skip
    statements = [f"SET {name} = {int(seconds * 1000)}" for name, seconds in limits.items()]

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _: Any) -> None:
        # By statements: a connection pooler between may refuse the parameter `options` of a connection.
        with connection.cursor() as cursor:
            cursor.execute("; ".join(statements))
        connection.commit()


def _follow_failovers(engine: Engine) -> None:
    """Close all connections to a server that became a standby or stops: the next ones may lead to another server."""

    @event.listens_for(engine, "handle_error")
    def close_all(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) in _ELSEWHERE:
            context.is_disconnect = True


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
