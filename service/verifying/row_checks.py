"""Whether a single row is as it was written."""

import hashlib

from service.records.checksums import CHECKSUM, part_checksum, row_checksum
from service.records.image_store import is_elsewhere
from service.records.objects.rows import image_of
from service.records.tables import Base
from service.verifying.raw_rows import Row

_SECRET = ("secret",)  # columns that are not shown


def damage_of(table: str, row: Row) -> str | None:
    """What is wrong with a row of any table but the log; None if nothing can be found."""
    columns = Base.metadata.tables[table].columns
    for name, value in row.items():
        kind = columns[name].type.python_type
        if value is None:
            if not columns[name].nullable:
                return f"its {name} is missing"
        elif type(value) is not kind:
            return f"its {name} is no {kind.__name__}" + ("" if name in _SECRET else f": {value!r:.60}")
    if table == "images" and is_elsewhere(row):
        return _checksum_damage(table, row)
    if table == "images" and hashlib.sha256(row["content"]).hexdigest() != row["image_id"]:
        return "its content was altered: its SHA-256 is not the image_id"
    if table == "images" and row["size"] != len(row["content"]):
        return f"its size is {row['size']} and must be {len(row['content'])}"
    if table == "image_objects" and row["image_id"] not in (None, image_of(str(row["object_key"]))):
        return "it was altered: its image_id is not that of its object_key"
    return _checksum_damage(table, row)


def _checksum_damage(table: str, row: Row) -> str | None:
    expected = row.get(CHECKSUM)
    if expected is None:
        return None
    found = part_checksum(row["content"]) if table == "answer_parts" else row_checksum(table, row)
    return None if found == expected else "it was altered: its checksum does not fit"
