"""Many small images, and jobs of them."""

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import Blocks
from tests.service.conftest import encoded
from tests.service.test_importing import zipped

PATIENCE = 120.0  # seconds; machines may be busy


def photos(count: int) -> dict[str, bytes]:
    """Image files of blocks by name; all are different."""
    blocks = Blocks("train", count=count)
    return {f"photo-{i:03d}.png": encoded(blocks[i].image) for i in range(count)}


def ended(client: Any, job_id: str) -> dict[str, Any]:
    """A job when it has ended. Its progress never falls meanwhile."""
    end, last = time.monotonic() + PATIENCE, (0, 0.0)
    while True:
        job: dict[str, Any] = client.get(f"/jobs/{job_id}").raise_for_status().json()
        present = job["done"], job["progress"]
        assert present >= last
        assert 0 <= job["done"] <= job["total"]
        last = present
        if job["ended"]:
            return job
        assert time.monotonic() < end, f"the job has not ended after {PATIENCE:g} s: {job}"
        time.sleep(0.05)


def sent(client: TestClient, files: dict[str, bytes], **query: Any) -> dict[str, Any]:
    """A job that was accepted, of a ZIP archive of some files."""
    answer = client.post("/jobs/segment", params=query, content=zipped(files))
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/jobs/{job['job_id']}"
    return job


@pytest.fixture(scope="session")
def some_photos() -> dict[str, bytes]:
    """Six image files by name."""
    return photos(6)
