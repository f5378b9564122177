"""Labelled images on disk."""

import json
from pathlib import Path

import pytest
from PIL import Image

from index_builder.datasets import IGNORE
from tests.conftest import BLOCK_CLASSES, Blocks


@pytest.fixture(scope="session")
def blocks_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blocks as a folder of one's own: four images to learn from and four others; read only."""
    root = tmp_path_factory.mktemp("blocks")
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for i in range(4):
            sample = Blocks(split)[i]
            Image.fromarray(sample.image).save(root / "images" / split / f"{i}.png")
            Image.fromarray(sample.labels).save(root / "masks" / split / f"{i}.png")
    classes = [{"name": info.name, "color": list(info.color)} for info in BLOCK_CLASSES]
    (root / "classes.json").write_text(json.dumps({"classes": classes, "ignore": IGNORE}))
    return root
