"""The lock files hold what pyproject.toml asks for, by version and hash, and name no index."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENVIRONMENTS = [{"python_full_version": version, "python_version": version[:4]} for version in ("3.11.9", "3.12.3")]
FLAVOURS = ("cpu", "gpu")


def locked(name: str) -> list[Requirement]:
    """The packages of a lock file, each with one exact version."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = re.findall(r"^([A-Za-z0-9].*?) ?\\$", text, re.MULTILINE)
    return [Requirement(entry) for entry in entries]


def versions(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Locked version of each package that the lock installs in this environment."""
    chosen = [entry for entry in locked(name) if entry.marker is None or entry.marker.evaluate(dict(environment))]
    pairs = {canonicalize_name(entry.name): str(entry.specifier).removeprefix("==") for entry in chosen}
    assert len(pairs) == len(chosen), "a package is locked to two versions"
    return pairs


def wanted(flavour: str) -> list[Requirement]:
    """Direct dependencies of a flavour, with the driver of PostgreSQL."""
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    return [
        Requirement(text) for text in [*project["dependencies"], *extras[flavour], *extras["postgres"], *extras["s3"]]
    ]


def disagreements(requirements: list[Requirement], pins: Mapping[str, str]) -> list[str]:
    """Requirements that no locked version satisfies."""
    missing = [(requirement, pins.get(canonicalize_name(requirement.name))) for requirement in requirements]
    return [
        f"{requirement} but {version} is locked"
        for requirement, version in missing
        if version is None or not requirement.specifier.contains(version, prereleases=True)
    ]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda environment: environment["python_version"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_direct_dependency_is_locked_to_a_version_that_it_allows(
    flavour: str, environment: dict[str, str]
) -> None:
    """If this fails, run `make lock` and commit its result."""
    requirements = [entry for entry in wanted(flavour) if not (flavour == "cpu" and entry.name == "torch")]
    assert disagreements(requirements, versions(flavour, environment)) == []


def test_a_raised_lower_bound_is_noticed() -> None:
    assert disagreements([Requirement("numpy>=99")], versions("cpu", ENVIRONMENTS[0]))
    assert disagreements([Requirement("left-pad")], versions("cpu", ENVIRONMENTS[0]))


def test_what_builds_the_package_is_locked() -> None:
    requirements = [Requirement(text) for text in PROJECT["build-system"]["requires"]]
    assert disagreements(requirements, versions("build", ENVIRONMENTS[0])) == []


@pytest.mark.parametrize("name", [*FLAVOURS, "build"])
def test_every_package_has_hashes_and_no_index_is_named(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    assert "--index-url" not in text
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(locked(name))
    for block in blocks:
        assert re.search(r"^    --hash=sha256:[0-9a-f]{64}", block, re.MULTILINE), block.splitlines()[0]


def test_the_lock_of_the_cpu_flavour_brings_no_cuda() -> None:
    names = {entry.name for entry in locked("cpu")}
    assert not [name for name in names if re.fullmatch(r"torch|triton|nvidia-.*|cuda-.*", name)]
    assert {"filelock", "sympy"} <= names, "what PyTorch's CPU build depends on is missing"
    assert "torch" in {entry.name for entry in locked("gpu")}
