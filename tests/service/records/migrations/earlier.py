"""Databases that earlier commits wrote; `fixtures/README.md` names the commits."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent / "fixtures"
RELEASE = FIXTURES / "tiny"
NAMES = sorted(file.stem for file in FIXTURES.glob("*.sql"))


def restore(name: str, file: Path) -> None:
    """Write the SQLite database that a dump describes; answers name the release in the fixtures."""
    file.parent.mkdir(parents=True, exist_ok=True)
    dump = (FIXTURES / f"{name}.sql").read_text()
    with closing(sqlite3.connect(file)) as database:
        database.executescript(dump.replace("/releases/tiny", str(RELEASE)))


def explanations(name: str) -> dict[str, Any]:
    """Answers of earlier commits to GET /explain, by segment."""
    found: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    _, _, before = name.partition("_from_")
    return found | (explanations(before) if before else {})
