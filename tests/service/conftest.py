"""The service over the tiny release, in this process, with a database of its own."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.app import create_app
from service.settings import Settings
from tests.conftest import Blocks


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
