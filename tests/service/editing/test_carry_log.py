"""What was carried over, as the log tells while another thread appends edits to it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from service.editing.carry import counterparts_of
from service.records.earlier_edits import carried_of
from service.records.edit_log import Edit, EditLog
from service.records.live_release import LiveRelease
from tests.service.editing.conftest import Editing


class Appending(dict[str, Any]):
    """The payload of a carry. When what it carried is read, an edit is appended, as another thread may do."""

    def __init__(self, log: EditLog) -> None:
        super().__init__(exemplar_ids=[], carried={"d1": 7}, counterparts={"a": "b"}, summary="")
        self._log = log

    def __getitem__(self, key: str) -> Any:
        if key in ("carried", "counterparts"):
            self._log.append(an_edit(max(self._log.edits) + 1, "remove", {"exemplar_ids": [], "summary": ""}))
        return super().__getitem__(key)


def an_edit(revision: int, kind: Any, payload: dict[str, Any]) -> Edit:
    return Edit(revision, "tiny", kind, payload, "anna", None, datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("read", "expected"), [(lambda live: carried_of(live.log), {"d1": 7}), (counterparts_of, {"a": "b"})]
)
def test_what_was_carried_over_is_read_while_edits_are_appended(
    editing: Editing, read: Callable[[LiveRelease], dict[str, Any]], expected: dict[str, Any]
) -> None:
    log = editing.live.log
    log.append(an_edit(1, "carry", Appending(log)))
    assert read(editing.live) == expected
    assert list(log.edits) == [1, 2]
