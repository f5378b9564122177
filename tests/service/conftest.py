"""The service over the tiny release, in this process, with a database of its own."""

import io
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url

from service.app import create_app
from service.records.schema_version import open_database
from service.settings import Settings
from tests.conftest import Blocks

POSTGRES = os.environ.get("SEGSORT_TEST_POSTGRES")


@pytest.fixture(scope="session")
def photo() -> bytes:
    """An image of blocks as PNG, 96x72."""
    return encoded(Blocks("val")[0].image)


def encoded(image: np.ndarray, form: str = "PNG", **options: object) -> bytes:
    """Encode [H, W] or [H, W, 3] uint8 as an image file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, form, **options)
    return file.getvalue()


@pytest.fixture
def settings(tiny_release: Path, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", release=str(tiny_release), threads=1)


@pytest.fixture
def start(settings: Settings) -> Callable[..., TestClient]:
    """Makes a client of a service with some settings changed."""

    def make(**changes: object) -> TestClient:
        return TestClient(create_app(settings.model_copy(update=changes)))

    return make


@pytest.fixture
def client(start: Callable[..., TestClient]) -> Iterator[TestClient]:
    with start() as client:
        yield client


@contextmanager
def _postgres_database(template: str = "template1") -> Iterator[str]:
    """URL of a new PostgreSQL database, which is dropped at the end."""
    if not POSTGRES:
        pytest.skip("SEGSORT_TEST_POSTGRES names no PostgreSQL server; run the tests with .ci/postgres")
    server, name = make_url(POSTGRES), f"segsort_{uuid.uuid4().hex}"
    _run(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.set(database=name).render_as_string(hide_password=False)
    _run(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_postgres_url() -> Iterator[str]:
    """URL of a PostgreSQL database without tables, which is dropped after the test."""
    with _postgres_database() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[str]:
    """Name of a PostgreSQL database with tables, which is copied in a fraction of the time that they take."""
    with _postgres_database() as url:
        open_database(url).dispose()
        yield str(make_url(url).database)


@pytest.fixture
def postgres_url(postgres_template: str) -> Iterator[str]:
    """URL of a PostgreSQL database with tables and no rows, which is dropped after the test."""
    with _postgres_database(postgres_template) as url:
        yield url


@pytest.fixture(scope="module")
def module_postgres_url(postgres_template: str) -> Iterator[str]:
    """URL of a PostgreSQL database with tables and no rows, which the tests of a file share."""
    with _postgres_database(postgres_template) as url:
        yield url


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
