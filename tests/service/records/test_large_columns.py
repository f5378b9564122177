"""Lists of answers read no more of their content than they use, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from segsort.masks import encode_rle
from service.records.answer_reader import Load
from service.records.database import Answered, RecordedNeighbours, Records
from tests.service.records.test_removal import row

SEGMENT = {"class_id": 0, "share": 1.0, "confidence": None, "known": True}


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    records = Records(database_url)
    for n in range(40):
        found = RecordedNeighbours(np.full((n, 2), n), ["e"], np.zeros((n, 1), np.int32), np.ones((n, 1), np.float32))
        masks = encode_rle(np.arange(n, dtype=np.int32)[None], n) if n else []
        facts = row(f"a{n:02}", None, "bo") | {"width": max(n, 1), "height": 1}
        records.add(facts, [SEGMENT | {"counts": mask} for mask in masks], found)
    yield records
    records.close()


@pytest.fixture
def statements(records: Records) -> list[str]:
    """The statements that the database executes."""
    seen: list[str] = []

    @event.listens_for(records.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    return seen


def parts(answers: list[Answered]) -> int:
    """How many parts were read."""
    return sum(len(one._parts) for one in answers)


@pytest.mark.parametrize(("load", "read"), [("facts", 0), ("prototypes", 3), ("all", 6)])
def test_a_list_reads_the_parts_that_are_asked_for_alone(
    records: Records, statements: list[str], load: Load, read: int
) -> None:
    answers = records.newest(3, load=load)
    assert len(statements) == 1 + (read > 0)
    assert parts(answers) == read
    assert not any("similarities" in statement for statement in statements)
    assert [one.facts.segment_count for one in answers] == [39, 38, 37]


def test_prototypes_are_read_without_the_labels(records: Records) -> None:
    (answered,) = records.newest(1, load="prototypes")
    assert answered.prototypes.shape == (39, 2)
    assert answered.prototypes[0, 0] == 39
    assert answered.areas.tolist() == [1] * 39
    assert parts([answered]) == 1


def test_content_that_was_not_read_is_read_when_it_is_used(records: Records, statements: list[str]) -> None:
    (answered,) = records.newest(1, load="facts")
    assert [one["bbox"] for one in answered.segments] == [[n, 0, 1, 1] for n in range(39)]
    assert answered.neighbours(None).exemplar_ids == ["e"]
    assert len(statements) == 2


def test_many_answers_are_read_in_their_order_a_few_at_a_time(records: Records, statements: list[str]) -> None:
    ids = [f"a{n:02}" for n in range(39, -1, -1)]
    found = [one.facts.segmentation_id for one in records.each([*ids[:5], "missing", *ids[5:]])]
    assert found == ids
    assert len([one for one in statements if "FROM segmentations" in one]) == 2
