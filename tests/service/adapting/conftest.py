"""A release that can be adapted: filters and an identity head, without exemplars."""

from pathlib import Path

import pytest

from index_builder.heads import open_features
from index_builder.new_release import write_new
from model_store.store import open_store


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the release; read only."""
    folder = tmp_path_factory.mktemp("blank")
    opened = open_features("filters", open_store(folder / "none"), folder, 96)
    return write_new(folder / "releases" / "blank", opened, name="blank").path
