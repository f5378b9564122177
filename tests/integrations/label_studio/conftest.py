"""A service of the tiny release, and Label Studio's ML backend over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.app import create_app
from service.settings import Settings
from tests.integrations.label_studio.studio import Studio, studio
from tests.service.serving import serving


@pytest.fixture
def service(tiny_release: Path, tmp_path: Path) -> Iterator[str]:
    settings = Settings(data_dir=tmp_path / "service", release=str(tiny_release), threads=1)
    with serving(create_app(settings)) as address:
        yield address


@pytest.fixture
def label_studio(service: str, tmp_path: Path) -> Iterator[Studio]:
    with studio(service, tmp_path / "backend") as found:
        yield found
