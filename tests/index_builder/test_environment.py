"""The circumstances of a measurement."""

import json
import os
import re
import subprocess

import pytest
import torch

from index_builder import environment
from index_builder.environment import circumstances


def test_circumstances_are_those_of_this_process_and_fit_into_json() -> None:
    found = circumstances()
    assert json.loads(json.dumps(found)) == found
    assert found["cores"] == len(os.sched_getaffinity(0))
    assert found["threads"] == torch.get_num_threads()
    assert found["libraries"]["numpy"] == __import__("numpy").__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found["date"])
    assert found["memory_gib"] > 0


def test_the_commit_is_that_of_git() -> None:
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=environment.ROOT, capture_output=True, text=True, check=False
    )
    assert circumstances()["commit"] == (done.stdout.strip() if done.returncode == 0 else "unknown")


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = circumstances()
    assert (found["commit"], found["uncommitted_changes"]) == ("unknown", False)
