"""Four replicas behind nginx over one PostgreSQL database: edits are everywhere at once, and a kill loses none."""

from pathlib import Path

import pytest

from benchmarks.behind_nginx import NGINX
from benchmarks.replicas import Result, run


@pytest.fixture(scope="module")
def result(tiny_release: Path, module_postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Five seconds of eight writers, in which replicas are killed. `python -m benchmarks.replicas` does more."""
    if NGINX is None:
        pytest.skip("nginx is not installed; install it, or name the program in SEGSORT_NGINX")
    data, flags = tmp_path_factory.mktemp("replicas"), ("--release", str(tiny_release))
    return run(data, module_postgres_url, flags, writers=8, seconds=5, kill_every=1.5, seed=2, apart=True)


def test_no_acknowledged_edit_is_lost_doubled_or_altered(result: Result) -> None:
    assert result.kills >= 1
    assert result.acknowledged >= 8
    found = (result.lost, result.double, result.unknown, result.altered, result.failures, result.damage)
    assert not any(found), found


def test_edits_are_visible_on_every_replica(result: Result) -> None:
    """How fast is measured by `python -m benchmarks.replicas`; each was seen before the observer gave up."""
    assert len(result.visible_ms) >= 3


def test_all_replicas_explain_alike(result: Result) -> None:
    assert result.explained >= 8
    assert not result.unequal


def test_the_result_of_a_job_is_found_whichever_replica_is_asked_first(result: Result) -> None:
    assert not result.jobs
