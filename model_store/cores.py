"""The number of cores that this process may use."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Number of cores that this process may use, at least 1: its CPU affinity, limited by the quota of its cgroup."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota(_CGROUP)
    return max(1, min(cores, math.ceil(quota))) if quota is not None else cores


def _cgroup_quota(root: Path) -> float | None:
    """CPU quota of the cgroup (version 2, else version 1) in cores, or None if there is no limit."""
    try:
        granted, _, period = (root / "cpu.max").read_text().strip().partition(" ")
    except OSError:
        try:
            granted = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return int(granted) / int(period) if granted.isdigit() and period.isdigit() else None
