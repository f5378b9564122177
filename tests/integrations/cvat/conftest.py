"""CVAT: a task of three frames in a server, and the segsort service that annotates it.

No CVAT server can run here. `tests.integrations.cvat.server` stands in for it, over real HTTP; everything else is real:
cvat-sdk, cvat-cli, and the segsort service in a process of its own. Modules of tests skip without cvat-sdk, so it is
imported where a fixture needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from benchmarks.running_service import running_service
from segsort_client import Client
from tests.conftest import Blocks
from tests.service.conftest import encoded

if TYPE_CHECKING:
    from tests.integrations.cvat.server import CvatServer


@pytest.fixture(scope="package")
def address(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose exemplars are known to its own images."""
    with running_service(tmp_path_factory.mktemp("data"), "--release", str(tiny_release)) as found:
        yield found


@pytest.fixture(scope="package")
def client(address: str) -> Iterator[Client]:
    with Client(address) as found:
        yield found


@pytest.fixture
def images() -> dict[str, bytes]:
    """Three frames: PNG, grey PNG and JPEG."""
    blocks = Blocks("val")
    grey = np.asarray(Image.fromarray(blocks[1].image).convert("L"))
    return {
        "a.png": encoded(blocks[0].image), "b/b.png": encoded(grey), "c.jpg": encoded(blocks[2].image, "JPEG"),
    }  # fmt: skip


@pytest.fixture
def server(client: Client, images: dict[str, bytes]) -> Iterator[CvatServer]:
    """A task with the labels of the service, whose ids differ from those of the classes."""
    from tests.integrations.cvat.server import TASK, CvatServer

    labels = [
        {"id": 100 + one.class_id, "name": one.name, "color": one.color, "type": "any", "attributes": [],
         "sublabels": [], "project_id": None, "task_id": TASK, "parent_id": None, "has_parent": False}
        for one in client.classes()
    ]  # fmt: skip
    with CvatServer(images, labels).serving() as server:
        yield server
