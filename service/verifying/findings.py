"""What a verification finds."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_MOST = 1000  # findings that are kept; the others are counted


class Finding(NamedTuple):
    """Something that is wrong. table, row: which, in words; None: the database, or the table, as a whole."""

    table: str | None
    row: str | None
    what: str

    def __str__(self) -> str:
        place = ", ".join(filter(None, (f"table {self.table}" if self.table else "the database", self.row)))
        return f"{place}: {self.what}"


@dataclass
class Report:
    """The result of a verification.

    Attributes:
        database: its name, without a password.
        findings: what is wrong; empty if the database is sound.
        more: findings beyond those in the list.
        rows: rows that were read, by table.
        unchecked: rows of earlier versions, which have no checksum, by table.
        uncompared: answers whose release is gone, so that their similarities were not compared.
        unread_images: images whose files in the object store were not read.
        edits: number of the last edit; None if it cannot be read.
        seconds: how long it took.
    """

    database: str
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    unchecked: Counter[str] = field(default_factory=Counter)
    uncompared: int = 0
    unread_images: int = 0
    edits: int | None = None
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def add(self, table: str | None, row: object, what: str) -> None:
        """Note that something is wrong; row: None, or what names the row."""
        if len(self.findings) < _MOST:
            self.findings.append(Finding(table, None if row is None else str(row), what))
        else:
            self.more += 1

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "database": self.database,
            "sound": self.sound,
            "edits": self.edits,
            "rows": dict(self.rows),
            "rows_without_checksum": dict(self.unchecked),
            "answers_not_compared": self.uncompared,
            "image_files_not_read": self.unread_images,
            "findings": [finding._asdict() for finding in self.findings],
            "more_findings": self.more,
            "seconds": round(self.seconds, 3),
        }
