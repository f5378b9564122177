"""The hashes of rows of `edits` and `exemplars`: made when they are written, and checked when they are read."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import FromClause

from service.problems import DamageError
from service.records import chain
from service.records.tables import EditRow, ExemplarRow


def _kinds(table: FromClause) -> dict[str, type]:
    return {name: column.type.python_type for name, column in table.columns.items()}


_EDIT_KINDS, _EXEMPLAR_KINDS = _kinds(EditRow.__table__), _kinds(ExemplarRow.__table__)
_EDIT, _EXEMPLAR = chain.edit_format(_EDIT_KINDS), chain.exemplar_format(_EXEMPLAR_KINDS)


def with_hashes(row: Mapping[Any, Any], exemplars: Sequence[Mapping[Any, Any]], before: str) -> dict[str, Any]:
    """A row of `edits` with its hashes.

    Args:
        row: the other columns.
        exemplars: the rows of the exemplars that it adds, by place.
        before: the chain of the edit before it.
    """
    stored = chain.as_stored(row, _EDIT_KINDS)
    added = chain.added_digest(_EXEMPLAR, [chain.as_stored(one, _EXEMPLAR_KINDS) for one in exemplars])
    digest = chain.edit_digest(_EDIT, stored, added)
    linked = chain.link(before, stored["revision"], stored["release"], stored["kind"], digest)
    return {**row, "added": added, "digest": digest, "chain": linked}


def check_edit(row: Mapping[Any, Any]) -> None:
    """Check a row of `edits` against its digest.

    Raises:
        DamageError: if it was altered.
    """
    try:
        fits = chain.edit_digest(_EDIT, row, row["added"]) == row["digest"]
    except TypeError:  # bytes became something else
        fits = False
    if not fits:
        raise DamageError("edits", f"revision {row['revision']}", "it was altered: its digest does not fit")


def check_added(edits: Sequence[Mapping[Any, Any]], exemplars: Mapping[int, Sequence[Mapping[Any, Any]]]) -> None:
    """Check the exemplars of edits against `added`.

    Args:
        edits: rows of `edits`, which were checked.
        exemplars: rows of `exemplars` by revision, by place.

    Raises:
        DamageError: if an exemplar is missing, was altered, or belongs to no edit.
    """
    expected = {row["revision"]: row["added"] for row in edits}
    for revision, rows in exemplars.items():
        if revision not in expected:
            names = ", ".join(str(row["exemplar_id"]) for row in rows[:3])
            raise DamageError("exemplars", names, f"they say that edit {revision} added them, which did not")
        try:
            fits = chain.added_digest(_EXEMPLAR, rows) == expected[revision]
        except TypeError:
            fits = False
        if not fits:
            names = ", ".join(str(row["exemplar_id"]) for row in rows[:3]) or "none"
            raise DamageError(
                "exemplars", f"of revision {revision}",
                f"they are not those that edit {revision} added: one was altered, removed or inserted (there: {names})",
            )  # fmt: skip
