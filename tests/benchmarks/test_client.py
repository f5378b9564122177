"""The benchmark of the client: its rows, and a short run against a real service."""

import json
from pathlib import Path

import pytest

from benchmarks.client import Turn, main, rows_of


def test_the_ratio_is_that_of_rounds_with_its_interval() -> None:
    plain = [Turn(10, 2), Turn(20, 2), Turn(40, 2)]
    client = [Turn(9, 3), Turn(20, 3), Turn(44, 3)]
    first, second = rows_of({"plain HTTP": plain, "client": client})
    assert (first["ratio"], first["ratio_low"]) == (1, 1)
    assert second["ratio"] == pytest.approx(1.0)
    assert second["ratio_high"] - 1 == pytest.approx(4.303 * 0.1 / 3**0.5, rel=1e-3)  # t of two degrees of freedom


def test_a_short_run_has_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sys.argv", ["client", "--images", "8", "--workers", "4", "--rounds", "2", "--out", str(tmp_path)]
    )
    main()
    rows = json.loads((tmp_path / "client.json").read_text())["rows"]
    assert [row["way"] for row in rows] == ["plain HTTP", "client"]
    assert all(row["images/s"] > 0 and 0.1 < row["ratio"] < 10 for row in rows)
