"""The list of edits: edits of every release of the database, as JSON."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, select

from service.answering.release_view import class_json
from service.records.edit_log import Edit
from service.records.edit_rows import edit_of
from service.records.tables import EditRow, iso


def find_edit(connection: Connection, revision: int) -> Edit | None:
    """Read an edit of any release; None if there is none."""
    row = connection.execute(select(EditRow.__table__).where(EditRow.revision == revision)).mappings().first()
    return None if row is None else edit_of(row)


def newest_edits(connection: Connection, limit: int, before: int | None) -> list[Edit]:
    """Read the newest edits, the newest first.

    Args:
        connection: to the database.
        limit: largest number of edits.
        before: only edits with a lower revision; None for all.
    """
    query = select(EditRow.__table__).order_by(EditRow.revision.desc()).limit(limit)
    if before is not None:
        query = query.where(EditRow.revision < before)
    return [edit_of(row) for row in connection.execute(query).mappings()]


def effective_reverts(connection: Connection) -> dict[int, int]:
    """By revision of a reverted edit: the revision of its effective revert."""
    query = select(EditRow.revision, EditRow.payload).where(EditRow.kind == "revert").order_by(EditRow.revision.desc())
    reverted: dict[int, int] = {}
    for revision, payload in connection.execute(query):
        if revision not in reverted:  # later reverts, which may name this one, came first
            reverted[orjson.loads(payload)["reverts"]] = revision
    return reverted


def edit_json(edit: Edit, reverted: Mapping[int, int]) -> dict[str, Any]:
    """An edit as JSON; reverted: as `effective_reverts` returns it."""
    payload = edit.payload
    classes = [edit.class_after] if edit.kind == "class" else edit.new_classes
    fields = {
        "revision": edit.revision,
        "kind": edit.kind,
        "release": edit.release,
        "release_digest": edit.release_digest,
        "author": edit.author,
        "reason": edit.reason,
        "created": iso(edit.created),
        "summary": payload["summary"],
        "exemplar_ids": list(payload.get("exemplar_ids", ())),
        "classes": [class_json(info) for info in classes],
        "reverted_by": reverted.get(edit.revision),
    }
    if edit.scope is not None:
        fields["scope"] = edit.scope
    if "segments" in payload:
        fields["segment_ids"] = list(payload["segments"])
    return fields | {name: payload[name] for name in ("segment_id", "replaces", "reverts") if name in payload}


def edits_json(connection: Connection, edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """Edits as JSON."""
    reverted = effective_reverts(connection)
    return [edit_json(edit, reverted) for edit in edits]
