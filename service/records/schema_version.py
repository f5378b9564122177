"""The version of the database's schema: create, upgrade or refuse a database when it is opened.

An up-to-date database costs one SELECT, and one UPDATE that is rolled back. Alembic is imported only where
there is something to do.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from service.problems import DamageError
from service.records.connection import Waits, connect, durable_transaction
from service.records.damage import damage_in

CURRENT = "0014"  # the newest revision of `service.records.migrations`
VERSION_TABLE = "segsort_schema_version"  # not Alembic's default, which other programs may use in the same database
_VERSION_QUERY = text(f"SELECT version_num FROM {VERSION_TABLE}")
_MIGRATION_WAIT = 600  # seconds; longest wait for another process that migrates the database
_ADVISORY_LOCK = 7_367_736_072  # any number that no other program over the same PostgreSQL database uses
_LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL's SQLSTATE of a lock timeout

_CONNECT_WAIT, _PAUSE = 30, 0.2  # seconds; while the server starts, or another process sets up a new SQLite file
# What SQLite says while another process switches a new file to write-ahead logging, and libpq while a server starts
_PASSING = (
    "locked", "refused", "No such file", "starting up", "not accepting connections", "not yet accepting connections",
    "in recovery mode", "shutting down",
)  # fmt: skip

_log = logging.getLogger("segsort.records")
_one_migration = threading.Lock()  # Alembic keeps the running migration in a global variable


def open_database(url: str, waits: Waits = Waits()) -> Engine:  # noqa: B008  # immutable
    """Connect to a database, and create or upgrade its tables.

    Args:
        url: SQLAlchemy URL.
        waits: how long its statements may wait.

    Raises:
        ValueError: if the database cannot be opened, upgraded or written, or a newer version of the program wrote it.
    """
    try:
        engine = connect(url, waits)
        try:
            _connect_with_patience(engine)
            ensure_current_schema(engine)
            _check_writable(engine)
        except BaseException:
            engine.dispose()
            raise
    except (SQLAlchemyError, OSError, ImportError) as error:
        if isinstance(error, SQLAlchemyError) and (said := damage_in(error)) is not None:
            raise DamageError(None, make_url(url).render_as_string(), f"it cannot be read: {said}") from error
        raise ValueError(
            f"the database {make_url(url).render_as_string()} cannot be opened: {error}; "
            "check SEGSORT_DATABASE_URL and SEGSORT_DATA_DIR, and that the folder may be written"
        ) from error
    return engine


def _connect_with_patience(engine: Engine) -> None:
    """Make the first connection, which sets up write-ahead logging of an SQLite file. Wait for a server that starts."""
    deadline, said = time.monotonic() + _CONNECT_WAIT, False
    while True:
        try:
            return engine.connect().close()
        except OperationalError as error:
            if not any(word in str(error.orig) for word in _PASSING) or time.monotonic() > deadline:
                raise
            if not said:
                name = engine.url.render_as_string()
                _log.info("waiting at most %d s for the database %s: %s", _CONNECT_WAIT, name, error.orig)
            said = True
            time.sleep(_PAUSE)


def _check_writable(engine: Engine) -> None:
    try:
        with engine.connect() as connection:
            connection.execute(text("UPDATE revisions SET number = number"))
            connection.rollback()
    except DBAPIError as error:
        raise ValueError(
            f"the database {engine.url.render_as_string()} cannot be written: {error.orig}; give the service the right "
            "to write the database (of SQLite: the file and its folder), and let no other process lock it"
        ) from error


def ensure_current_schema(engine: Engine) -> None:
    """Create the tables of an empty database, or upgrade an older one. Several processes may do so at once.

    Raises:
        ValueError: if a newer program wrote the database, its upgrade fails, or another process holds the lock for too
            long; it is then unchanged.
        SQLAlchemyError: if the database refuses a statement; it is then unchanged.
    """
    if _version(engine) != CURRENT:
        with _one_migration, _exclusive(engine) as connection:
            _migrate(connection)


def _version(engine: Engine) -> str | None:
    """The schema version of a database; None if it has none yet."""
    try:
        with engine.connect() as connection:
            return connection.execute(_VERSION_QUERY).scalar()
    except DBAPIError:  # there is no such table
        return None


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config()
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    tables = inspect(connection).get_table_names()
    found = connection.execute(_VERSION_QUERY).scalar() if VERSION_TABLE in tables else None
    if found == CURRENT:  # another process was faster
        return
    if found is not None and found not in known:
        raise ValueError(
            f"the database {connection.engine.url.render_as_string()} has schema revision {found!r}, and this version "
            f"of segsort knows {', '.join(sorted(known))}: a newer version wrote it; upgrade segsort, or restore a "
            "backup that this version wrote"
        )
    if tables:
        _log.info("upgrading the database from schema revision %s to %s", found or "none", CURRENT)
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except Exception as error:  # rows of an old schema may hold anything
        raise ValueError(
            f"the database {connection.engine.url.render_as_string()} cannot be opened: its upgrade from schema "
            f"revision {found or 'none'} to {CURRENT} failed with {type(error).__name__}: {error}; nothing was "
            "changed; repair what the message names, restore a backup, or give segsort a database of its own"
        ) from error


def alembic_config() -> Any:
    """The configuration of Alembic, which needs no alembic.ini: an `alembic.config.Config`."""
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))  # % begins an interpolation
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def _exclusive(engine: Engine) -> Iterator[Connection]:
    """A durable transaction that waits until no other process migrates the database, and keeps others from it."""
    with durable_transaction(engine) as connection:
        if engine.dialect.name == "sqlite":
            _begin_alone(connection)
        elif engine.dialect.name == "postgresql":
            _take_advisory_lock(connection)
        yield connection


def _take_advisory_lock(connection: Connection) -> None:
    """Take the lock of PostgreSQL that migrations need, until the end of the transaction.

    The limit also holds for locks that the migration itself waits for. Its statements may take any time.
    """
    connection.execute(
        text(
            "SELECT set_config('lock_timeout', :wait, true), set_config('statement_timeout', '0', true), "
            "set_config('idle_in_transaction_session_timeout', '0', true)"
        ),
        {"wait": f"{int(_MIGRATION_WAIT * 1000)}ms"},
    )
    try:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise ValueError(
            f"another process has kept the lock for upgrades of {connection.engine.url.render_as_string()} for "
            f"{_MIGRATION_WAIT} s; wait until its upgrade ends and start again, or end its session, whose pid is in "
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
        ) from error


def _begin_alone(connection: Connection) -> None:
    _log.info("waiting at most %s s until no other process writes the database, to set up its tables", _MIGRATION_WAIT)
    usual = int(connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one())
    connection.exec_driver_sql(f"PRAGMA busy_timeout={int(_MIGRATION_WAIT * 1000)}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={usual}")
