"""A client that openapi-python-client generates from the document type-checks, and segments against a real service."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.running_service import running_service
from tests.conftest import Blocks
from tests.service.conftest import encoded
from tools.openapi import GOLDEN

CONFIG = GOLDEN.parents[1] / "tools" / "client.yml"
USE = """
from io import BytesIO

from segsort_http_client import AuthenticatedClient
from segsort_http_client.api.explanations import explain
from segsort_http_client.api.segmentations import segment
from segsort_http_client.models import Explanation, Mask, NewAnswer, Problem, Segment
from segsort_http_client.types import File


def labels(address: str, image: bytes) -> list[tuple[str | None, str | None, float | None, int]]:
    with AuthenticatedClient(base_url=address, token="none is needed", timeout=None) as client:
        answer = segment.sync(client=client, body=File(payload=BytesIO(image)), exemplars=2)
        assert isinstance(answer, NewAnswer)
        return [described(client, one) for one in answer.segments]


def described(client: AuthenticatedClient, one: Segment) -> tuple[str | None, str | None, float | None, int]:
    assert isinstance(one.mask, Mask)
    why = explain.sync(one.segment_id, client=client)
    assert isinstance(why, Explanation)
    return why.class_name, one.class_name, why.vote.classes[0].weight, len(one.exemplars)


def refusal(address: str) -> str:
    with AuthenticatedClient(base_url=address, token="none is needed") as client:
        problem = explain.sync("none", client=client)
        assert isinstance(problem, Problem)
        return problem.detail
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the generated package, and of a module that uses it."""
    folder = tmp_path_factory.mktemp("generated")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    command += ["--path", str(GOLDEN), "--config", str(CONFIG), "--output-path", str(folder / "segsort_http_client")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    (folder / "use.py").write_text(USE)
    return folder


@pytest.mark.timeout(900)
def test_it_and_code_that_uses_it_pass_mypy_strict(package: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--cache-dir",
        str(package / ".cache"),
        "use.py",
    ]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(600)
def test_it_segments_and_explains_an_image(
    package: Path, tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(package))
    use = importlib.import_module("use")
    with running_service(tmp_path, "--release", str(tiny_release), patience=240) as address:
        found = use.labels(address, encoded(Blocks("val")[0].image))
        assert {name for name, *_ in found} == {"brick", "grass", "water"}
        for explained, answered, weight, listed in found:
            assert explained == answered
            assert 0 < weight <= 1.000001
            assert listed == 2
        assert use.refusal(address) == "There is no such segment."
