"""Each integration imports the client, its tool's packages and nothing of the service, and declares what it imports."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
INTEGRATIONS = sorted(path.parent for path in (ROOT / "integrations").glob("*/pyproject.toml"))
OF_THE_SERVICE = {"segsort", "model_store", "index_builder", "service", "command_line", "benchmarks", "tests", "tools"}
# Modules whose distribution has another name.
DISTRIBUTIONS = {"cvat_sdk": "cvat-sdk", "PIL": "pillow", "segsort_client": "segsort-client"}


def imported(folder: Path) -> set[str]:
    """Top-level modules that the files of a folder import."""
    found = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add((node.module or "").partition(".")[0])
    return found - set(sys.stdlib_module_names)


@pytest.mark.parametrize("folder", INTEGRATIONS, ids=lambda path: path.name)
def test_an_integration_needs_the_client_and_what_it_declares(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    (package,) = (path.name for path in folder.glob("segsort_*") if path.is_dir() and not path.name.endswith("-info"))
    found = imported(folder / package)
    assert found & OF_THE_SERVICE == set()
    assert "segsort_client" in found
    declared = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    needed = {canonicalize_name(DISTRIBUTIONS.get(module, module)) for module in found - {package}}
    assert needed <= declared, f"not declared: {needed - declared}"
    assert (folder / package / "py.typed").is_file()
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("folder", INTEGRATIONS, ids=lambda path: path.name)
def test_an_integration_has_a_page(folder: Path) -> None:
    pages = [f"integrations/{name}.md" for name in (folder.name, folder.name.replace("_", "-"))]
    (page,) = {page for page in pages if (ROOT / "docs" / page).is_file()}
    assert page in (ROOT / "mkdocs.yml").read_text()
