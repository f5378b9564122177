"""Databases of the tests: SQLite, and PostgreSQL where a server is given."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url

POSTGRES = os.environ.get("SEGSORT_TEST_POSTGRES")


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """URL of an empty PostgreSQL database, which is dropped after the test."""
    if not POSTGRES:
        pytest.skip("SEGSORT_TEST_POSTGRES names no PostgreSQL server; run the tests with .ci/postgres")
    server, name = make_url(POSTGRES), f"segsort_{uuid.uuid4().hex}"
    _run(server, f"CREATE DATABASE {name}")
    yield server.set(database=name).render_as_string(hide_password=False)
    _run(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a.sqlite'}"
    return str(request.getfixturevalue("postgres_url"))


def _run(server: URL, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
