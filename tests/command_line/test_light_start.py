"""Commands that compute nothing load no library that takes seconds to import."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

HEAVY = ("faiss", "fastapi", "llvmlite", "numba", "numpy", "onnxruntime", "PIL", "scipy", "sqlalchemy", "torch")
PROBE = """
import json, sys
from command_line.main import app
sys.argv = ["segsort", *sys.argv[1:]]
try:
    app()
except SystemExit as end:
    status = end.code or 0
print("\\n" + json.dumps([status, sorted(sys.modules)]))
"""


def loaded_by(*arguments: str) -> set[str]:
    """Run the command in a process of its own and return the names of all modules that it imported."""
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True)
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0, done.stderr
    return set(modules)


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "--version",
        "serve --help",
        "segment --help",
        "train --help",
        "build --help",
        "evaluate --help",
        "report --help",
        "regions --help",
        "regions write --help",
        "releases --help",
        "keys --help",
        "keys new anna --role reader",
    ],
)
def test_no_heavy_library_is_loaded(command: str) -> None:
    assert loaded_by(*command.split()).isdisjoint(HEAVY)


def test_a_command_that_computes_is_seen_to_load_them() -> None:
    """The probe above must be able to fail: listing releases opens their indexes."""
    assert loaded_by("releases", "list", "--json") >= {"faiss", "numpy"}


@pytest.mark.parametrize("package", ["command_line", "index_builder", "model_store", "segsort", "service"])
def test_importing_a_package_loads_no_heavy_library(package: str) -> None:
    code = f"import sys, {package}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()).isdisjoint(HEAVY)


def test_version_is_that_of_the_installed_package() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "command_line.main", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"segsort {version('segsort')}\n"
