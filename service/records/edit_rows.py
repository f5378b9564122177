"""Edits and added exemplars as rows of the database."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from sqlalchemy import Connection, insert, select

from model_store.live import AddedExemplar
from service.records.edit_log import Edit
from service.records.tables import EditRow, ExemplarRow


def read_edits(connection: Connection, after: int, until: int, release: str) -> list[Edit]:
    """Read the edits of a release with after < revision <= until, in their order."""
    query = select(EditRow.__table__).where(EditRow.release == release, EditRow.revision > after)
    rows = connection.execute(query.where(EditRow.revision <= until).order_by(EditRow.revision))
    return [edit_of(row) for row in rows.mappings()]


def read_edits_and_exemplars(
    connection: Connection, after: int, until: int, release: str
) -> tuple[list[Edit], list[AddedExemplar]]:
    """Read the edits of a release with after < revision <= until, and the exemplars that they added, in their order."""
    edits = read_edits(connection, after, until, release)
    if not any(edit.kind in ("add", "label") for edit in edits):
        return edits, []
    query = select(ExemplarRow.__table__).where(ExemplarRow.release == release, ExemplarRow.revision > after)
    query = query.where(ExemplarRow.revision <= until).order_by(ExemplarRow.revision, ExemplarRow.place)
    return edits, [_exemplar_of(row) for row in connection.execute(query).mappings()]


def edit_of(row: Any) -> Edit:
    """Decode a row of `EditRow`."""
    return Edit(**{**row, "payload": orjson.loads(row["payload"])})


def write_edit(connection: Connection, edit: Edit, added: Sequence[AddedExemplar]) -> None:
    """Insert an edit and the exemplars that it adds to the database."""
    connection.execute(insert(EditRow), {**vars(edit), "payload": orjson.dumps(edit.payload)})
    rows = [_row_of(edit, place, exemplar) for place, exemplar in enumerate(added)]
    if rows:
        connection.execute(insert(ExemplarRow), rows)


def _row_of(edit: Edit, place: int, exemplar: AddedExemplar) -> dict[str, Any]:
    return {
        **vars(exemplar),
        "release": edit.release,
        "revision": edit.revision,
        "place": place,
        "prototype": np.ascontiguousarray(exemplar.prototype, dtype=np.float32).tobytes(),
        "bbox": orjson.dumps(exemplar.bbox),
    }


def _exemplar_of(row: Any) -> AddedExemplar:
    columns = {name: value for name, value in row.items() if name not in ("release", "revision", "place")}
    columns["prototype"] = np.frombuffer(row["prototype"], np.float32)
    return AddedExemplar(**{**columns, "bbox": tuple(orjson.loads(row["bbox"]))})
