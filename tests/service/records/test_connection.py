"""Connections, and transactions that survive a power cut."""

from pathlib import Path

import pytest
from sqlalchemy import Engine as Database

from service.records.connection import connect, durable_transaction

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
