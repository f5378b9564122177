"""A database of each kind."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from service.records.schema_version import open_database


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """An open database, of SQLite and of PostgreSQL."""
    opened = open_database(database_url)
    yield opened
    opened.dispose()
