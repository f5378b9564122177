"""The packages of a container image: those of its lock file, PyTorch's CPU build, and none that the image removes."""

import re
import tomllib
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
Flavour = Literal["cpu", "slim", "gpu"]
FLAVOURS: tuple[Flavour, ...] = ("cpu", "slim", "gpu")
IMAGE = {"python_full_version": "3.11.9", "python_version": "3.11", "sys_platform": "linux", "platform_system": "Linux"}


class Package(NamedTuple):
    """A locked package; hashes: SHA-256 of its files, none for PyTorch's CPU build."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def line(self) -> str:
        """The line of a requirements file that installs this version alone, from files with these hashes."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash=sha256:{one}" for one in self.hashes)])


def packages(flavour: Flavour) -> list[Package]:
    """The packages of a flavour's image, by name."""
    found = _of_lock("gpu" if flavour == "gpu" else "cpu")
    if flavour == "cpu":
        extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["cpu"]
        pin = next(Requirement(one) for one in extra if Requirement(one).name == "torch")
        found.append(Package("torch", str(pin.specifier).removeprefix("=="), ()))
    return sorted(package for package in found if package.name not in removed())


def build_packages() -> list[Package]:
    """The packages that build this one, by name."""
    return sorted(_of_lock("build"))


def removed() -> set[str]:
    """Names of the packages that the image uninstalls at the end."""
    (names,) = re.findall(r"pip uninstall --quiet --yes ([a-z ]+)", (ROOT / "Dockerfile").read_text())
    return set(names.split())


def _of_lock(name: str) -> list[Package]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    found = []
    for entry in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]:
        requirement = Requirement(entry.splitlines()[0].removesuffix("\\").strip())
        if requirement.marker is None or requirement.marker.evaluate(dict(IMAGE)):
            version = str(requirement.specifier).removeprefix("==")
            found.append(Package(requirement.name, version, tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))))
    return found
