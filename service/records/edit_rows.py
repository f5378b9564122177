"""Edits and added exemplars as rows of the database."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from sqlalchemy import ColumnElement, Connection, and_, exists, func, insert, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from model_store.live import AddedExemplar
from service.records import chain
from service.records.damage import read_named
from service.records.edit_hashes import check_added, check_edit, with_hashes
from service.records.edit_log import Edit
from service.records.tables import EditFitRow, EditRow, ExemplarRow

_OF_EDIT = ("release", "release_digest", "revision", "place")  # columns of `ExemplarRow` that are not of the exemplar
_AT_ONCE = 500  # revisions in one statement


class ReleaseKey(NamedTuple):
    """What a release is called, and the digest of its content. Several releases may have one name."""

    name: str
    digest: str


def made_on(key: ReleaseKey) -> ColumnElement[bool]:
    """The condition that an edit was made on a release. One without a digest must have been found to fit it."""
    fits = exists().where(
        EditFitRow.revision == EditRow.revision, EditFitRow.release_digest == key.digest, EditFitRow.fits
    )
    unnamed = and_(EditRow.release_digest.is_(None), EditRow.release == key.name, fits)
    return or_(EditRow.release_digest == key.digest, unnamed)


def read_edits(connection: Connection, after: int, until: int, key: ReleaseKey) -> list[Edit]:
    """Read the edits of a release with after < revision <= until, in their order.

    All edits with its name or its digest are checked, so that one whose digest or name was altered is noticed.

    Raises:
        DamageError: if one was altered.
    """
    between = (EditRow.revision > after, EditRow.revision <= until)
    named = or_(EditRow.release == key.name, EditRow.release_digest == key.digest)
    found = read_edits_where(connection, named, *between)
    if all(edit.release_digest == key.digest for edit in found):
        return found
    own = set(connection.execute(select(EditRow.revision).where(made_on(key), *between)).scalars())
    return [edit for edit in found if edit.revision in own]


def read_edits_where(connection: Connection, *conditions: ColumnElement[bool]) -> list[Edit]:
    """Read the edits that meet conditions, in their order.

    Raises:
        DamageError: if one was altered.
    """
    query = select(EditRow.__table__).where(*conditions).order_by(EditRow.revision)
    return [edit_of(row) for row in read_named(connection, query, EditRow.revision, "edits", "revision")]


def read_edits_and_exemplars(
    connection: Connection, after: int, until: int, key: ReleaseKey
) -> tuple[list[Edit], list[AddedExemplar]]:
    """Read the edits of a release with after < revision <= until, and the exemplars that they added, in their order.

    Raises:
        DamageError: if one was altered.
    """
    edits = read_edits(connection, after, until, key)
    by_revision = read_added(connection, [edit.revision for edit in edits]) if any(one.adds for one in edits) else {}
    return edits, [one for edit in edits for one in by_revision.get(edit.revision, ())]


def read_added(connection: Connection, revisions: Sequence[int]) -> dict[int, list[AddedExemplar]]:
    """Read the exemplars that edits added, by revision, in their order.

    Raises:
        DamageError: if one was altered.
    """
    found: dict[int, list[AddedExemplar]] = {}
    for start in range(0, len(revisions), _AT_ONCE):
        some = revisions[start : start + _AT_ONCE]
        edits = select(EditRow.revision, EditRow.added).where(EditRow.revision.in_(some))
        query = select(ExemplarRow.__table__).where(ExemplarRow.revision.in_(some))
        query = query.order_by(ExemplarRow.revision, ExemplarRow.place)
        rows: dict[int, list[dict[str, Any]]] = {revision: [] for revision in some}
        for row in read_named(connection, query, ExemplarRow.revision, "exemplars", "of revision"):
            rows[row["revision"]].append(row)
        check_added([dict(row) for row in connection.execute(edits).mappings()], rows)
        found |= {revision: [exemplar_of(row) for row in group] for revision, group in rows.items()}
    return found


def read_exemplars(connection: Connection, ids: Collection[str]) -> dict[str, AddedExemplar]:
    """Read exemplars that edits added, of any release, by their ids. Ids that no edit added are left out."""
    found: dict[str, AddedExemplar] = {}
    wanted = list(ids)
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        query = select(ExemplarRow.__table__).where(ExemplarRow.exemplar_id.in_(some)).order_by(ExemplarRow.revision)
        found |= {row["exemplar_id"]: exemplar_of(row) for row in connection.execute(query).mappings()}
    return found


def releases_of_exemplar(connection: Connection, exemplar_id: str) -> list[tuple[str, str | None]]:
    """The names and digests of the releases to which edits added an exemplar.

    Where an edit recorded no digest, they are those of the releases that it was found to fit, and None if it has not
    been examined.
    """
    if not (exemplar_id.isascii() and exemplar_id.isalnum()):
        return []  # a database may refuse such characters
    digest = func.coalesce(ExemplarRow.release_digest, EditFitRow.release_digest)
    fits = and_(EditFitRow.revision == ExemplarRow.revision, EditFitRow.fits)
    query = select(ExemplarRow.release, digest).outerjoin(EditFitRow, fits)
    found = connection.execute(query.where(ExemplarRow.exemplar_id == exemplar_id).distinct())
    return [(name, one) for name, one in found.all()]


def releases_of_edit(connection: Connection, revision: int, fits: bool) -> set[str]:
    """The digests of the releases that an edit without a digest was found to fit, or not to fit."""
    query = select(EditFitRow.release_digest).where(EditFitRow.revision == revision, EditFitRow.fits == fits)
    return set(connection.execute(query).scalars())


def unexamined_edits(connection: Connection, after: int, until: int, key: ReleaseKey) -> list[Edit]:
    """Read the edits of a release's name with after < revision <= until that no version has matched with it yet.

    They have no digest: a version made them that did not record it.
    """
    examined = exists().where(EditFitRow.revision == EditRow.revision, EditFitRow.release_digest == key.digest)
    unnamed = and_(EditRow.release == key.name, EditRow.release_digest.is_(None))
    return read_edits_where(connection, unnamed, ~examined, EditRow.revision > after, EditRow.revision <= until)


def write_fits(connection: Connection, digest: str, fits: Mapping[int, bool]) -> None:
    """Record for edits without a digest, by revision, whether they were made on a release.

    What another process has recorded meanwhile stays.
    """
    if not fits:
        return
    dialect: Any = {"postgresql": postgresql, "sqlite": sqlite}[connection.dialect.name]
    rows = [{"revision": revision, "release_digest": digest, "fits": value} for revision, value in fits.items()]
    connection.execute(dialect.insert(EditFitRow.__table__).on_conflict_do_nothing(), rows)


def count_edits(connection: Connection, key: ReleaseKey) -> int:
    """Count the edits that were made on a release."""
    return int(connection.execute(select(func.count()).select_from(EditRow).where(made_on(key))).scalar_one())


def edit_of(row: Mapping[Any, Any]) -> Edit:
    """Decode a row of `EditRow`.

    Raises:
        DamageError: if it was altered.
    """
    check_edit(row)
    columns = {name: value for name, value in row.items() if name not in chain.CHAIN_COLUMNS}
    return Edit(**columns | {"payload": orjson.loads(row["payload"])})


def write_edit(connection: Connection, edit: Edit, added: Sequence[AddedExemplar], before: str) -> dict[str, Any]:
    """Insert an edit and the exemplars that it adds to the database.

    Args:
        connection: with the lock on the row of `revisions`.
        edit: the new edit.
        added: the exemplars.
        before: the chain of the edit before it.

    Returns:
        The row of the edit, with its hashes.
    """
    rows = [_row_of(edit, place, exemplar) for place, exemplar in enumerate(added)]
    row = with_hashes({**vars(edit), "payload": orjson.dumps(edit.payload)}, rows, before)
    connection.execute(insert(EditRow), row)
    if rows:
        connection.execute(insert(ExemplarRow), rows)
    return row


def _row_of(edit: Edit, place: int, exemplar: AddedExemplar) -> dict[str, Any]:
    return {
        **vars(exemplar),
        "release": edit.release,
        "release_digest": edit.release_digest,
        "revision": edit.revision,
        "place": place,
        "prototype": np.ascontiguousarray(exemplar.prototype, dtype=np.float32).tobytes(),
        "bbox": orjson.dumps(exemplar.bbox),
    }


def exemplar_of(row: Mapping[Any, Any]) -> AddedExemplar:
    """Decode a row of `ExemplarRow`, which was checked."""
    columns = {name: value for name, value in row.items() if name not in _OF_EDIT}
    columns["prototype"] = np.frombuffer(row["prototype"], np.float32)
    return AddedExemplar(**{**columns, "bbox": tuple(orjson.loads(row["bbox"]))})
