"""The client installed alone, from its wheel: what it brings, its types in a project of a user, and what it imports."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent.parent
# What httpx and numpy bring.
BROUGHT = {
    "anyio",
    "certifi",
    "h11",
    "httpcore",
    "httpx",
    "idna",
    "numpy",
    "segsort-client",
    "sniffio",
    "typing-extensions",
}
EXTRA_OF_OLD_PYTHON = {"exceptiongroup"}  # which anyio needs before Python 3.11
PROGRAM = '''
"""A program of a user."""

import asyncio
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from segsort_client import AsyncClient, Client, Result, SegsortError, Segmentation, Stroke


def areas(answer: Segmentation) -> dict[str, int]:
    return {segment.class_name or "none": segment.area for segment in answer}


def label_map(client: Client, path: str) -> NDArray[np.int32]:
    return client.segment(path, k=5).to_label_map()


def teach(client: Client, image: NDArray[np.uint8]) -> int:
    answer = client.segment(image)
    try:
        marked = client.mark(answer, [Stroke.line("kerb", [(1, 2), (3, 4)], 5)])
    except SegsortError as error:
        return error.status or 0
    return marked.index_revision


def names(client: Client, paths: list[str]) -> Iterator[str]:
    for result in client.segment_many(paths, progress=True):
        found: Result = result
        if found.segmentation is not None:
            yield found.segmentation.name or ""


async def count(paths: list[str]) -> int:
    async with AsyncClient(key="secret") as client:
        first, second = await asyncio.gather(client.segment(paths[0]), client.segment(paths[1]))
        total = len(first) + len(second)
        async for result in client.segment_many(paths):
            total += len(result.get())
        explanation = await client.explain(first.segments[0])
        return total + len(explanation.exemplars)
'''
WRONG = {
    'client.segment("a.png", segmentz=3)': "segmentz",
    'client.segment("a.png").no_such': "no_such",
    "client.segment(7)": "incompatible type",
    "client.explain(3)": "incompatible type",
    'client.export("jpeg")': "incompatible type",
    'len(client.label("s", "kerb").edit)': "Edit | None",
}


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("client")
    shutil.copytree(
        ROOT / "client", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    )
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), "."]
    done = run(*build, cwd=folder / "src")
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("segsort_client-*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path) -> Path:
    """The Python of a new environment with the wheel and what it needs, from the package registry."""
    pytest.importorskip("uv")
    folder = wheel.parent / "venv"
    uv = [sys.executable, "-m", "uv"]
    assert run(*uv, "venv", "--python", sys.executable, str(folder), cwd=wheel.parent).returncode == 0
    python = folder / "bin" / "python"
    done = run(*uv, "pip", "install", "--python", str(python), str(wheel), cwd=wheel.parent)
    if done.returncode and "error sending request" in done.stderr.lower():
        pytest.skip("the package registry does not answer")
    assert done.returncode == 0, done.stderr
    return python


def test_every_file_of_the_client_is_in_its_wheel_with_its_licence(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {
        path.relative_to(ROOT / "client").as_posix()
        for path in (ROOT / "client" / "segsort_client").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "segsort_client/py.typed" in sources
    assert sources == {name for name in names if ".dist-info" not in name}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert (ROOT / "client" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_wheel_and_the_image_of_the_service_do_not_carry_the_client() -> None:
    chosen = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    found = {name for name in packages if any(fnmatch(name, pattern) for pattern in chosen)}
    assert found == {"segsort", "model_store", "index_builder", "service", "command_line"}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found < set(" ".join(copied).split())
    assert not {"client", "integrations", "examples", "."} & set(" ".join(copied).split())


def test_the_client_alone_brings_httpx_and_numpy_and_nothing_else(environment: Path, tmp_path: Path) -> None:
    listed = run(sys.executable, "-m", "uv", "pip", "list", "--format=json", "--python", str(environment), cwd=tmp_path)
    found = {one["name"] for one in json.loads(listed.stdout)}
    assert {"httpx", "numpy", "segsort-client"} <= found <= BROUGHT | EXTRA_OF_OLD_PYTHON


def test_the_client_alone_is_imported_and_makes_images_and_masks(environment: Path, tmp_path: Path) -> None:
    code = (
        "import segsort_client as s, numpy as np; from segsort_client.png import png; from segsort_client import rle;"
        "mask = np.eye(9, dtype=bool); assert (rle.decode(rle.encode(mask), (9, 9)) == mask).all();"
        "assert png(np.zeros((3, 4, 3), np.uint8))[:4] == b'\\x89PNG'; print(s.Client('https://host/sub'))"
    )
    done = run(str(environment), "-I", "-c", code, cwd=tmp_path)
    assert done.stdout == "Client('https://host/sub')\n", done.stderr


def test_a_program_of_a_user_passes_mypy_strict_and_its_mistakes_are_found(environment: Path, tmp_path: Path) -> None:
    mistakes = "".join(f"    {code}\n" for code in WRONG)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(
        f"from segsort_client import Client\n\n\ndef f(client: Client) -> None:\n{mistakes}"
    )
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n")  # not the settings of this project
    mypy = [sys.executable, "-m", "mypy", "--python-executable", str(environment), "--config-file", "mypy.ini"]
    done = run(*mypy, "program.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run(*mypy, "wrong.py", cwd=tmp_path)
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == len(WRONG), done.stdout
    for error, said in zip(errors, WRONG.values(), strict=True):
        assert said in error
