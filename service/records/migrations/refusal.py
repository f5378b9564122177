"""Downgrades are refused by every revision."""

from typing import NoReturn


def refuse_downgrade(revision: str) -> NoReturn:
    """Refuse to downgrade a database from a revision. Nothing is changed.

    Raises:
        ValueError: always; it says what to do instead.
    """
    raise ValueError(
        f"the database has schema revision {revision} and cannot be downgraded: rows would be lost; stop segsort, "
        "restore a backup that the older version wrote (docs/database.md, Backup), and install that version"
    )
