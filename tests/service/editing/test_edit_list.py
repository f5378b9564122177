"""The list of edits as JSON."""

from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, select

from service.editing.edit_list import edit_json, edits_json, effective_reverts, find_edit, newest_edits
from service.records.chain import GENESIS
from service.records.edit_log import Edit, Kind
from service.records.edit_rows import write_edit
from service.records.schema_version import open_database
from service.records.tables import EditRow, now
from tests.service.editing.conftest import ANNA, Editing


def write(connection: Connection, revision: int, kind: Kind, **payload: Any) -> None:
    body = payload | {"summary": kind}
    edit = Edit(revision, "r", kind, body, "anna", None, now(), "a digest")
    before = connection.execute(select(EditRow.chain).order_by(EditRow.revision.desc())).scalar()
    write_edit(connection, edit, [], before or GENESIS)


@pytest.mark.parametrize("seed", range(6))
def test_the_effective_reverts_are_those_of_the_definition(seed: int) -> None:
    """An edit is effective unless an effective later edit reverts it."""
    random = np.random.default_rng(seed)
    reverts: dict[int, int] = {}
    with open_database("sqlite://").begin() as connection:
        for revision in range(1, 40):
            target = int(random.integers(1, revision)) if revision > 1 else 0
            if target and random.random() < 0.8 and _is_allowed(target, revision, reverts):
                reverts[revision] = target
                write(connection, revision, "revert", reverts=target)
            else:
                write(connection, revision, "remove", exemplar_ids=[])
        expected = {r: by[0] for r in range(1, 40) if (by := _effective_reverts(r, 39, reverts))}
        assert len(expected) > 3
        assert effective_reverts(connection) == expected


def _is_allowed(target: int, revision: int, reverts: dict[int, int]) -> bool:
    """Curation refuses a revert after which two effective edits would revert the same one."""
    after = reverts | {revision: target}
    return all(len(_effective_reverts(r, revision, after)) < 2 for r in range(1, revision))


def _effective_reverts(revision: int, last: int, reverts: dict[int, int]) -> list[int]:
    """The effective reverts of an edit, by recursion over all later edits."""
    later = range(revision + 1, last + 1)
    return [by for by in later if reverts.get(by) == revision and not _effective_reverts(by, last, reverts)]


def test_edits_are_listed_from_the_newest_in_pages() -> None:
    with open_database("sqlite://").begin() as connection:
        for revision in (1, 2, 5):
            write(connection, revision, "remove", exemplar_ids=[])
        assert [edit.revision for edit in newest_edits(connection, 2, None)] == [5, 2]
        assert [edit.revision for edit in newest_edits(connection, 9, 5)] == [2, 1]
        assert find_edit(connection, 4) is None
        found = find_edit(connection, 5)
        assert found is not None
        assert found.kind == "remove"


def test_an_edit_has_the_fields_of_its_kind(editing: Editing) -> None:
    editing.curation.make_class(ANNA, "fog", "#010203")
    editing.curation.remove(ANNA, editing.live.release.exemplars.ids[:1])
    editing.curation.revert(ANNA, 2)
    with editing.records.engine.connect() as connection:
        listed = edits_json(connection, newest_edits(connection, 9, None))
    assert [one["kind"] for one in listed] == ["revert", "remove", "class"]
    assert [one["reverted_by"] for one in listed] == [None, 3, None]
    assert listed[0]["reverts"] == 2
    assert listed[1]["exemplar_ids"] == editing.live.release.exemplars.ids[:1]
    assert listed[2]["classes"] == [{"class_id": 3, "name": "fog", "color": "#010203"}]
    assert {one["author"] for one in listed} == {"anna"}
    assert listed[2] == edit_json(editing.live.log.edits[1], {})
