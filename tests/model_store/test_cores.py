"""The number of threads follows the cores that the process may use, not those of the machine."""

import os
from pathlib import Path

import pytest

from model_store import cores

MAX, QUOTA, PERIOD = "cpu.max", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"


def cgroup(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content + "\n")
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({MAX: "150000 100000"}, 1.5),
        ({MAX: "max 100000"}, None),
        ({QUOTA: "200000", PERIOD: "100000"}, 2.0),
        ({QUOTA: "-1", PERIOD: "100000"}, None),
        ({MAX: "50000 100000", QUOTA: "1", PERIOD: "1"}, 0.5),
        ({}, None),
    ],
)
def test_the_quota_is_read_from_either_version_of_cgroups(
    files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    assert cores._cgroup_quota(cgroup(tmp_path, files)) == quota


def test_cores_are_limited_by_the_quota_and_never_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    affinity = len(os.sched_getaffinity(0))
    for granted, expected in (("1000", 1), ("100000", 1), (str(100_000 * affinity + 1), affinity), ("max", affinity)):
        monkeypatch.setattr(cores, "_CGROUP", cgroup(tmp_path, {MAX: f"{granted} 100000"}))
        assert cores.available_cores() == expected
