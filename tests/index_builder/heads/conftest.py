from pathlib import Path

import pytest

from index_builder.heads import FeatureSource
from segsort.head import Head
from tests.index_builder.heads.small import KINDS, small_head, write_source


@pytest.fixture(scope="session")
def small_source(tmp_path_factory: pytest.TempPathFactory) -> FeatureSource:
    """The small extractor as a file; read only."""
    return write_source(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def small_heads() -> dict[str, Head]:
    """A head of each kind over all maps of the small extractor."""
    return {kind: small_head(kind) for kind in KINDS}


@pytest.fixture
def features_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "features"
    folder.mkdir()
    return folder
