"""Connections, and transactions that survive a power cut."""

from pathlib import Path

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy.exc import DBAPIError, TimeoutError

from service.records.connection import Waits, connect, durable_transaction

NORMAL, FULL = 1, 2  # values of PRAGMA synchronous


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = connect(f"sqlite:///{tmp_path / 'a' / 'b' / 'x.sqlite'}")
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    return database


def rows(database: Database) -> int:
    with database.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one())


def synchronous(database: Database) -> int:
    with database.connect() as connection:
        return int(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())


def test_a_database_is_created_with_its_folder_and_written_ahead(database: Database) -> None:
    with database.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    assert synchronous(database) == NORMAL


def test_a_durable_transaction_is_on_disk_when_it_is_committed(database: Database) -> None:
    with durable_transaction(database) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == FULL
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    assert rows(database) == 1
    assert synchronous(database) == NORMAL


def test_an_error_rolls_a_durable_transaction_back(database: Database) -> None:
    def fail() -> None:
        with durable_transaction(database) as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
            raise KeyError("a fault")

    with pytest.raises(KeyError):
        fail()
    assert rows(database) == 0
    assert synchronous(database) == NORMAL


def test_all_users_of_a_database_in_memory_share_one_connection() -> None:
    database = connect("sqlite://")
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    assert rows(database) == 0


def writes(database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE revisions SET number = number")


def test_connections_that_were_closed_while_they_were_idle_are_replaced(postgres_url: str) -> None:
    database, other = connect(postgres_url), connect(postgres_url)
    with database.connect(), database.connect(), database.connect():
        pass  # three connections are open now
    with other.begin() as connection:
        ended = connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).all()
    assert len(ended) == 3
    for _ in range(4):
        writes(database)
    database.dispose()
    other.dispose()


def test_connections_to_a_server_that_became_a_standby_are_left(postgres_url: str) -> None:
    """A standby answers the test of a connection, and refuses to write."""
    database = connect(postgres_url)
    with database.connect() as connection:
        connection.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        connection.commit()
    with pytest.raises(DBAPIError, match="read-only"):
        writes(database)
    writes(database)
    database.dispose()


def test_connections_to_postgresql_are_bounded(postgres_url: str) -> None:
    database = connect(postgres_url, Waits(lock=0.1, connections=3))
    with database.connect(), database.connect(), database.connect(), pytest.raises(TimeoutError):
        database.connect()
    with database.connect() as connection:
        open_now = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        ).scalar_one()
    assert open_now <= 3
    database.dispose()
