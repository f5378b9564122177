"""The version of the database's schema: create, upgrade or refuse a database when it is opened.

An up-to-date database costs one SELECT. Alembic is imported only where there is something to do.
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

from service.records.connection import connect, durable_transaction

CURRENT = "0001"  # the newest revision of `service.records.migrations`
_VERSION_QUERY = text("SELECT version_num FROM alembic_version")
_WAIT_MS = 600_000  # longest wait for another process that migrates an SQLite database
_ADVISORY_LOCK = 7_367_736_072  # any number that no other program over the same PostgreSQL database uses

_ATTEMPTS, _PAUSE = 25, 0.2  # seconds; while another process switches a new SQLite file to write-ahead logging

_log = logging.getLogger("segsort.records")
_one_migration = threading.Lock()  # Alembic keeps the running migration in a global variable


def open_database(url: str) -> Engine:
    """Connect to a database, and create or upgrade its tables.

    Args:
        url: SQLAlchemy URL.

    Raises:
        ValueError: if the database cannot be opened, or a newer version of the program wrote it.
    """
    try:
        engine = connect(url)
        _ensure_with_patience(engine)
    except (SQLAlchemyError, OSError, ImportError) as error:
        raise ValueError(
            f"the database {make_url(url).render_as_string()} cannot be opened: {error}; "
            "check SEGSORT_DATABASE_URL and SEGSORT_DATA_DIR, and that the folder may be written"
        ) from error
    return engine


def _ensure_with_patience(engine: Engine) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            return ensure_current_schema(engine)
        except OperationalError as error:
            if "locked" not in str(error.orig) or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE)


def ensure_current_schema(engine: Engine) -> None:
    """Create the tables of an empty database, or upgrade an older one. Several processes may do so at once.

    Raises:
        ValueError: if a newer program wrote the database.
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
    found = connection.execute(_VERSION_QUERY).scalar() if "alembic_version" in tables else None
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
    command.upgrade(config, "head")


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
            before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
            connection.exec_driver_sql(f"PRAGMA busy_timeout={_WAIT_MS}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.exec_driver_sql(f"PRAGMA busy_timeout={before}")
        elif engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        yield connection
