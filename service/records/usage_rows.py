"""What callers have used of the quotas of a day, in the database, which all processes over it share."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from service.records.tables import UsageRow


class Used(NamedTuple):
    """Images and their pixels."""

    images: int = 0
    pixels: int = 0

    def plus(self, other: "Used") -> "Used":
        return Used(self.images + other.images, self.pixels + other.pixels)


NOTHING = Used()
_COLUMNS = (UsageRow.name, UsageRow.images, UsageRow.pixels)
_KEPT = timedelta(days=7)  # the clocks of several processes may differ


def add_usage(database: Engine, day: str, added: Mapping[str, Used]) -> dict[str, Used]:
    """Add to what callers have used on a day, and delete rows that are a week old.

    Args:
        database: the database.
        day: such as 2026-05-04, in UTC.
        added: by name; may be negative.

    Returns:
        What each caller has used on that day, in all processes.
    """
    insert = postgresql.insert(UsageRow) if database.dialect.name == "postgresql" else sqlite.insert(UsageRow)
    upsert = insert.on_conflict_do_update(
        index_elements=[UsageRow.day, UsageRow.name],
        set_={"images": UsageRow.images + insert.excluded.images, "pixels": UsageRow.pixels + insert.excluded.pixels},
    )
    rows = [{"day": day, "name": name, **used._asdict()} for name, used in sorted(added.items())]
    old = (date.fromisoformat(day) - _KEPT).isoformat()
    with database.begin() as connection:
        if rows:
            connection.execute(upsert, rows)
            connection.execute(delete(UsageRow).where(UsageRow.day < old))
        used = connection.execute(select(*_COLUMNS).where(UsageRow.day == day)).all()
    return {name: Used(images, pixels) for name, images, pixels in used}
