"""Every package that a folder imports is declared: in the dependencies, in a flavour, or in the folder's extras."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {
    "benchmarks",
    "command_line",
    "docs",
    "examples",
    "index_builder",
    "model_store",
    "segsort",
    "segsort_client",
    "segsort_cvat",
    "segsort_fiftyone",
    "segsort_label_studio",
    "segsort_napari",
    "service",
    "tests",
    "tools",
}
# Folder and the extras that its user installs beside the flavour `cpu`.
FOLDERS = {
    "segsort": ("train",),  # transformers, for backbones that are trained
    "model_store": ("heic", "ray"),
    "service": ("otel", "ray", "s3"),
    "command_line": (),
    "index_builder": ("report", "train"),
    "benchmarks": ("bench", "ray", "train"),
    "tests": ("test", "dev"),
    "tools": ("test", "dev"),
}
# Distributions whose module has another name, for environments that lack them.
MODULES = {"cv2": "opencv-contrib-python-headless", "cyclonedx": "cyclonedx-python-lib", "sklearn": "scikit-learn"}
FLAVOURS = {"onnxruntime-gpu": "onnxruntime", "faiss-gpu": "faiss-cpu"}


def declared(*extras: str) -> set[str]:
    """Names of the distributions that an installation with these extras asks for itself."""
    names: set[str] = set()
    for text in [
        *PROJECT["dependencies"],
        *(line for extra in extras for line in PROJECT["optional-dependencies"][extra]),
    ]:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        names |= declared(*requirement.extras) if name == PROJECT["name"] else {FLAVOURS.get(name, name)}
    return names


def imported(folder: Path) -> Iterator[tuple[str, str]]:
    """Top-level modules of other projects that the files of a folder import, each with the file's path."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
            for module in modules:
                top = module.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in OURS:
                    yield top, str(file.relative_to(ROOT))


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_a_folder_imports_is_declared(folder: str) -> None:
    distributions = packages_distributions()
    allowed = declared("cpu", *FOLDERS[folder])
    undeclared = {
        f"{module} in {file}"
        for module, file in imported(ROOT / folder)
        if not {canonicalize_name(name) for name in distributions.get(module, [MODULES.get(module, module)])} & allowed
    }
    assert undeclared == set()


def test_the_extra_test_brings_what_starlettes_client_and_the_training_need() -> None:
    assert {"httpx2", "onnx", "lightning", "matplotlib", "opentelemetry-sdk"} <= declared("test")


def test_an_import_that_nothing_declares_is_found(tmp_path: Path) -> None:
    assert "torch" in declared("cpu")
    assert "lightning" not in declared("cpu")
    assert ("lightning", "index_builder/training/run.py") in set(imported(ROOT / "index_builder"))
