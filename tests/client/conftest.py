"""A service over the tiny release on a real socket, and a way to run an operation of both clients."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segsort_client import AsyncClient, Client
from service.app import create_app
from service.settings import Settings
from tests.service.serving import serving


@pytest.fixture(scope="module")
def address(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a service of the tiny release."""
    folder = tmp_path_factory.mktemp("data")
    with serving(create_app(Settings(data_dir=folder, release=str(tiny_release), threads=1))) as found:
        yield found


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as found:
        yield found


Call = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, address: str) -> Iterator[Call]:
    """Calls an operation by its name: of the client that blocks, and of the one that is awaited."""
    if request.param == "sync":
        with Client(address) as blocking:
            yield lambda name, /, *args, **options: getattr(blocking, name)(*args, **options)
        return
    with asyncio.Runner() as runner:
        awaiting = AsyncClient(address)
        try:
            yield lambda name, /, *args, **options: runner.run(getattr(awaiting, name)(*args, **options))
        finally:
            runner.run(awaiting.aclose())
