"""Two processes over one database are killed at random while edits are made; `python -m benchmarks.kills` does more."""

from pathlib import Path

import pytest

from benchmarks.kills import run


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_acknowledged_edit_is_lost_or_doubled(
    kind: str, request: pytest.FixtureRequest, tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSORT_DATABASE_URL", "")  # which `run` sets
    url = None if kind == "sqlite" else str(request.getfixturevalue("postgres_url"))
    result = run(tmp_path, 48, ("--release", str(tiny_release)), url, seed=1, kills=3)
    assert result.faultless, result
    assert result.acknowledged >= 48
    assert result.kills >= 2
    assert result.verifications >= 3
    assert {"add", "label", "mark", "class"} <= result.kinds.keys()
