"""Edits of earlier releases of a name: they are kept without effect on the present one, until they are carried over."""

from collections.abc import Mapping
from typing import NamedTuple

import orjson
from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from service.records.edit_log import EditLog
from service.records.edit_rows import ReleaseKey
from service.records.tables import EditFitRow, EditRow

UNKNOWN = ""  # stands for the digest of edits that have none
Carried = Mapping[str, int]  # by digest of an earlier release: the last of its edits that was carried over


class EarlierGroup(NamedTuple):
    """Edits of one earlier release that wait: its digest, `UNKNOWN` for edits without one, their number, the last."""

    digest: str
    edits: int
    last: int


def carried_of(log: EditLog) -> dict[str, int]:
    """What the edits in effect of a release have carried over to it."""
    carried: dict[str, int] = {}
    for revision, edit in list(log.edits.items()):  # another thread may append
        if edit.kind == "carry" and log.reverted_by(revision) is None:
            for digest, last in edit.payload["carried"].items():
                carried[digest] = max(last, carried.get(digest, 0))
    return carried


def read_carried(connection: Connection, key: ReleaseKey) -> dict[str, int]:
    """What has been carried over to a release that is not open."""
    query = select(EditRow.revision, EditRow.kind, EditRow.payload)
    query = query.where(EditRow.release_digest == key.digest, EditRow.kind.in_(("carry", "revert")))
    carries: dict[int, Carried] = {}
    reverts: dict[int, int] = {}
    for revision, kind, payload in connection.execute(query.order_by(EditRow.revision)):
        content = orjson.loads(payload)
        if kind == "carry":
            carries[revision] = content["carried"]
        else:
            reverts[revision] = content["reverts"]
    carried: dict[str, int] = {}
    for revision, groups in carries.items():
        if not _is_reverted(revision, reverts):
            for digest, last in groups.items():
                carried[digest] = max(last, carried.get(digest, 0))
    return carried


def _is_reverted(revision: int, reverts: Mapping[int, int]) -> bool:
    """Whether the last of the reverts that name an edit is in effect. Reverts may be reverted too."""
    naming = [by for by, target in reverts.items() if target == revision]
    return any(not _is_reverted(by, reverts) for by in naming)


def earlier_groups(connection: Connection, key: ReleaseKey, carried: Carried) -> list[EarlierGroup]:
    """The edits of other releases of a name that were not carried over, grouped by release.

    Edits without a digest are among them once they were examined and did not fit, see `EditFitRow`.
    """
    digest = func.coalesce(EditRow.release_digest, UNKNOWN)
    query = select(digest, func.count(), func.max(EditRow.revision)).where(of_others(key))
    for name, last in carried.items():
        query = query.where(or_(digest != name, EditRow.revision > last))
    return [EarlierGroup(*row) for row in connection.execute(query.group_by(digest).order_by(digest))]


def of_others(key: ReleaseKey) -> ColumnElement[bool]:
    """The condition that an edit was made on another release of this name."""
    unfit = exists().where(
        EditFitRow.revision == EditRow.revision, EditFitRow.release_digest == key.digest, ~EditFitRow.fits
    )
    other = and_(EditRow.release_digest.is_not(None), EditRow.release_digest != key.digest)
    return and_(EditRow.release == key.name, or_(other, and_(EditRow.release_digest.is_(None), unfit)))
