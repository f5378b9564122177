"""As many threads as the process may use, not as many as the machine has."""

import os
from pathlib import Path

import pytest

from model_store import cores


def write(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content + "\n")
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu_dot_max": "150000 100000"}, 1.5),
        ({"cpu_dot_max": "max 100000"}, None),
        ({"cpu__cpu.cfs_quota_us": "200000", "cpu__cpu.cfs_period_us": "100000"}, 2.0),
        ({"cpu__cpu.cfs_quota_us": "-1", "cpu__cpu.cfs_period_us": "100000"}, None),
        ({"cpu_dot_max": "50000 100000", "cpu__cpu.cfs_quota_us": "1", "cpu__cpu.cfs_period_us": "1"}, 0.5),
        ({}, None),
    ],
)
def test_the_quota_is_read_from_either_version_of_cgroups(
    files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    assert cores._cgroup_quota(write(tmp_path, **files)) == quota


def test_cores_are_limited_by_the_quota_and_never_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    affinity = len(os.sched_getaffinity(0))
    for granted, expected in (("1000", 1), ("100000", 1), (str(100_000 * affinity + 1), affinity), ("max", affinity)):
        monkeypatch.setattr(cores, "_CGROUP", write(tmp_path, cpu_dot_max=f"{granted} 100000"))
        assert cores.available_cores() == expected
