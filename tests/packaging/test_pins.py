"""The Makefile, the Dockerfile and pyproject.toml agree with each other."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PACKAGES = [pattern.rstrip("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]]


def make_variable(name: str) -> str:
    """Value of a variable in make, if neither the caller nor the environment sets it."""
    show = f"--eval=show-variable: ; @echo '$({name})'"
    done = subprocess.run(
        ["make", "-s", show, "show-variable"], cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_make_installs_the_pytorch_that_the_extra_asks_for() -> None:
    pins = [pin for pin in PROJECT["project"]["optional-dependencies"]["cpu"] if pin.startswith("torch==")]
    assert [make_variable("TORCH")] == pins


def test_the_image_reads_the_pin_as_make_does() -> None:
    assert re.findall(r"sed -n '(.*?)'", DOCKERFILE) == re.findall(
        r"TORCH := .*sed -n '(.*?)'", (ROOT / "Makefile").read_text()
    )


def test_make_and_the_image_take_pytorch_from_the_same_index() -> None:
    assert re.findall(r"^ARG TORCH_INDEX=(.*)$", DOCKERFILE, re.MULTILINE) == [make_variable("TORCH_INDEX")]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_gets_into_the_image(package: str) -> None:
    assert f"\nCOPY {package} {package}\n" in DOCKERFILE
    assert f"\n!{package}\n" in (ROOT / ".dockerignore").read_text()


def test_both_flavours_are_extras_and_the_image_takes_one() -> None:
    assert {"cpu", "gpu"} <= set(PROJECT["project"]["optional-dependencies"])
    assert "ARG FLAVOUR=cpu\n" in DOCKERFILE
    assert '"requirements/$lock.txt"' in DOCKERFILE
    for lock in ("cpu", "gpu", "build"):
        assert (ROOT / "requirements" / f"{lock}.txt").is_file()


def test_the_image_installs_only_what_is_locked() -> None:
    installs = re.findall(r"pip install ((?:[^&|;\\]|\\\n)*)", DOCKERFILE)
    assert len(installs) == 3
    pytorch, dependencies, package = installs
    assert pytorch.split()[-1] == '"$torch+cpu"'
    assert "--require-hashes" in dependencies
    assert "--no-build-isolation" in package
    assert all("--no-deps" in install for install in installs)


def test_every_stage_of_the_image_begins_with_the_base_that_the_caller_names() -> None:
    assert re.findall(r"^ARG BASE_IMAGE=(.*)$", DOCKERFILE, re.MULTILINE) == ["python:3.11-slim-bookworm"]
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE_IMAGE}", "base-${FLAVOUR}"}
