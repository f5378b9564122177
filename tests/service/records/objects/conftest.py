"""Stores of the tests: a server of S3, a folder, and the memory of this process."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.service.s3_server import BUCKET, S3Server, s3_server


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as found:
        yield found


@pytest.fixture
def s3_url(server: S3Server) -> str:
    """URL of an empty prefix in the bucket."""
    return f"s3://{BUCKET}/{uuid4().hex}/images"


@pytest.fixture(params=["s3", "file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty store, of each kind."""
    if request.param == "s3":
        return str(request.getfixturevalue("s3_url"))
    return f"file://{tmp_path / 'images'}" if request.param == "file" else f"memory://{uuid4().hex}"
