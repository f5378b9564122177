"""The wheel holds every file that is read at run time, and serves from an environment without the sources."""

import io
import os
import shutil
import site
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from PIL import Image

from benchmarks.running_service import free_port, stop
from tests.conftest import Blocks

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("segsort", "model_store", "index_builder", "service", "command_line")
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")


PATIENCE = 400  # seconds; the first start in a new environment compiles loops, on a machine that may be busy


def without_sources() -> dict[str, str]:
    """This process's environment variables, except those that lead to the sources or to loops compiled elsewhere."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "NUMBA_CACHE_DIR")}


@pytest.fixture(scope="module")
def wheel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of the wheel. It is built from a copy of the sources, so that no build folder is left in them."""
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / "src" / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, folder / "src" / file)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), "."]
    done = subprocess.run(build, cwd=folder / "src", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("segsort-*.whl")
    return path


@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> Iterator[ZipFile]:
    """The wheel, opened."""
    with ZipFile(wheel_file) as archive:
        yield archive


@pytest.fixture(scope="module")
def environment(wheel_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a new environment that holds the wheel alone, and finds its dependencies in this one.

    A line in a .pth file adds this environment's packages without running its own .pth files, so that an editable
    installation of the sources stays invisible.
    """
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel_file)]
    subprocess.run(install, cwd=folder, env=without_sources(), check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder


@pytest.fixture(scope="module")
def service(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Client of `segsort serve`, started from the wheel in an empty folder."""
    folder, port = tmp_path_factory.mktemp("empty"), free_port()
    with (tmp_path_factory.mktemp("log") / "service.log").open("w+") as log:
        command = [str(environment / "bin" / "segsort"), "serve", "--port", str(port)]
        process = subprocess.Popen(
            command, cwd=folder, env=without_sources(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
                if not _ready(client, process):
                    log.seek(0)
                    pytest.fail(f"segsort serve was not ready, exit status {process.poll()}:\n{log.read()[-4000:]}")
                yield client
        finally:
            stop(process)


def _ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the service is ready; False if it exited, or needed too long."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            if client.get("/readyz").status_code == 200:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    return False


def test_every_file_of_the_packages_is_in_the_wheel(wheel: ZipFile) -> None:
    kept = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert kept <= set(wheel.namelist()), f"left out: {sorted(kept - set(wheel.namelist()))[:5]}"


def test_the_licence_travels_with_the_wheel(wheel: ZipFile) -> None:
    names = {Path(name).name for name in wheel.namelist() if ".dist-info/licenses/" in name}
    assert {"LICENSE", "NOTICE"} <= names


def test_tests_and_benchmarks_stay_out_of_the_wheel(wheel: ZipFile) -> None:
    assert not [name for name in wheel.namelist() if name.split("/")[0] in ("tests", "benchmarks")]


def test_the_environment_of_the_wheel_does_not_see_the_sources(environment: Path, tmp_path: Path) -> None:
    code = f"import importlib.util as u; print(*(u.find_spec(n).origin for n in {PACKAGES!r}), sep='\\n')"
    command = [str(environment / "bin" / "python"), "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=without_sources(), capture_output=True, text=True, check=True)
    origins = [Path(line) for line in done.stdout.splitlines()]
    assert len(origins) == len(PACKAGES)
    assert all(origin.is_relative_to(environment) for origin in origins)


@pytest.mark.timeout(PATIENCE + 200)
def test_the_wheel_alone_segments_and_explains(service: httpx.Client) -> None:
    file = io.BytesIO()
    Image.fromarray(Blocks("val")[0].image).save(file, "PNG")
    answer = service.post("/segment", content=file.getvalue(), headers={"Content-Type": "image/png"})
    assert answer.status_code == 200, answer.text
    segment = answer.json()["segments"][0]
    explanation = service.get(f"/explain/{segment['segment_id']}", headers={"Accept": "application/json"})
    assert explanation.status_code == 200, explanation.text
    assert explanation.json()["class_name"] == segment["class_name"]


@pytest.mark.timeout(PATIENCE + 200)
@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_the_wheel_alone_has_its_pages(service: httpx.Client, path: str) -> None:
    answer = service.get(path)
    assert answer.status_code == 200
    assert "SegSort" in answer.text or "segsort" in answer.text
