"""The service over the tiny release. The tests of a file share one service, so damage shows in later tests."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import service.records.follower
from service.app import create_app
from service.settings import Settings
from tests.conftest import Blocks
from tests.robustness.raw_http import Serve, Service
from tests.service.conftest import encoded
from tests.service.serving import serving

CASES = int(os.environ.get("FUZZ_CASES", "200"))  # number of random cases, in addition to the fixed ones


@pytest.fixture(scope="session")
def photo() -> bytes:
    """An image of blocks as PNG, 96x72."""
    return encoded(Blocks("val")[0].image)


@pytest.fixture(scope="module")
def settings(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with small limits, which a test can exceed quickly."""
    data = tmp_path_factory.mktemp("data")
    return Settings(data_dir=data, release=str(tiny_release), threads=1, max_pixels=1_000_000, max_bytes=2_000_000)


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service.records.follower, "PATIENCE", 0.01)  # many cases wait for revisions that do not exist
        with TestClient(create_app(settings)) as client:
            yield client


@pytest.fixture
def serve(settings: Settings) -> Iterator[Serve]:
    """Starts a service with some settings changed."""
    with ExitStack() as stack:

        def make(**changes: object) -> Service:
            app = create_app(settings.model_copy(update=changes))
            return Service(app, stack.enter_context(serving(app)), stack)

        yield make


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """Reads the lines of the log about connections."""
    logger = logging.getLogger("segsort.connections")
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(caplog.handler)
    yield lambda: [one.getMessage() for one in caplog.records if one.name == logger.name]
    logger.removeHandler(caplog.handler)
    logger.propagate = propagated
