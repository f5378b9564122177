"""The workflows may do only what they need, and run what the documents say."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def parsed(file: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(file.read_text())
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_workflow_may_read_the_repository_and_no_more(file: Path) -> None:
    workflow = parsed(file)
    assert workflow["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert more == ({"artifacts": {"contents": "write"}} if file.stem == "release" else {})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_job_ends_by_itself(file: Path) -> None:
    assert all(job["timeout-minutes"] <= 90 for job in parsed(file)["jobs"].values())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_actions_have_a_version(file: Path) -> None:
    steps = [step for job in parsed(file)["jobs"].values() for step in job["steps"]]
    for step in steps:
        assert "uses" not in step or step["uses"].rpartition("@")[2][:1] in "v0123456789abcdef", step


@pytest.mark.parametrize("name", ["supply-chain", "oldest-deps", "newest-deps"])
def test_what_can_break_without_a_change_here_runs_on_a_schedule(name: str) -> None:
    triggers = parsed(ROOT / ".github" / "workflows" / f"{name}.yml")[True]  # YAML reads `on` as true
    assert triggers["schedule"]


def test_a_release_gets_the_wheel_and_the_bills_of_materials() -> None:
    steps = parsed(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["artifacts"]["steps"]
    commands = " ".join(step.get("run", "") for step in steps)
    assert "make wheel sbom" in commands
    assert " . ./client $(patsubst %/pyproject.toml,./%,$(wildcard integrations/" in (ROOT / "Makefile").read_text()
    assert "gh release upload" in commands
