"""Alembic's entry point: run migrations on the connection of the service, or on the database of `-x url=...`."""

from alembic import context
from sqlalchemy import Connection

from service.records.connection import connect
from service.records.schema_version import VERSION_TABLE
from service.records.tables import Base


def _migrate(connection: Connection) -> None:
    # SQLite can neither change nor drop a column; Alembic then copies the table ("batch")
    context.configure(
        connection=connection, target_metadata=Base.metadata, render_as_batch=True, version_table=VERSION_TABLE
    )
    with context.begin_transaction():
        context.run_migrations()


def _url() -> str:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if not isinstance(url, str):
        raise ValueError("no database is given; call alembic -x url=URL, where URL is as in SEGSORT_DATABASE_URL")
    return url


_given = context.config.attributes.get("connection")
if _given is not None:
    _migrate(_given)
else:
    with connect(_url()).begin() as _connection:
        _migrate(_connection)
