"""Deletion of answers and their images, on SQLite and on PostgreSQL."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import insert

from service.records.database import RecordedNeighbours, Records
from service.records.image_store import ImageFile
from service.records.tables import SegmentationRow
from tests.service.records.test_image_store import image, make_exemplar

NOTHING = RecordedNeighbours(np.zeros((0, 2)), [], np.zeros((0, 1)), np.zeros((0, 1)))


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    records = Records(database_url, keep_images=10**6)
    yield records
    records.close()


def row(name: str, file: ImageFile | None, author: str | None) -> dict[str, object]:
    facts = {"segmentation_id": name, "width": 4, "height": 3, "release": "r", "release_path": "/r"}
    facts |= {"index_revision": 0, "k": 1, "kappa": 1.0, "image_similarity": 0.5, "conversion": None}
    return facts | {"author": author, "image_id": None if file is None else file.image_id}


def add(records: Records, name: str, file: ImageFile | None, author: str | None = "bo") -> None:
    records.add(row(name, file, author), [], NOTHING, file)


def remove(records: Records, name: str, owner: str | None = None, all_of_image: bool = False) -> int:
    answered = records.answer(name)
    assert answered is not None
    return records.remove(answered, owner, all_of_image)


def names(records: Records, owner: str | None = None, latest: bool = False) -> list[str]:
    return [one.facts.segmentation_id for one in records.newest(99, load="facts", owner=owner, latest=latest)]


def test_the_image_goes_with_its_last_answer(records: Records) -> None:
    file = image(1)
    add(records, "a", file)
    add(records, "b", file, "cy")
    assert remove(records, "a") == 1
    assert records.images.has(file.image_id)
    assert remove(records, "b") == 1
    assert not records.images.has(file.image_id)
    assert names(records) == []


def test_all_answers_of_an_image_are_those_of_the_owner(records: Records) -> None:
    file, other = image(1), image(2)
    for name, stored, author in (("a", file, "bo"), ("b", file, "bo"), ("c", file, "cy"), ("d", other, "bo")):
        add(records, name, stored, author)
    assert remove(records, "a", "bo", all_of_image=True) == 2
    assert sorted(names(records)) == ["c", "d"]
    assert records.images.has(file.image_id)
    assert remove(records, "c", None, all_of_image=True) == 1
    assert not records.images.has(file.image_id)
    assert records.images.has(other.image_id)


def test_the_image_of_an_exemplar_stays(records: Records) -> None:
    file = image(1)
    add(records, "a", file)
    make_exemplar(records.engine, file)
    remove(records, "a", all_of_image=True)
    assert names(records) == []
    assert records.images.has(file.image_id)


def test_answers_without_an_image_are_deleted_one_by_one(records: Records) -> None:
    add(records, "a", None)
    add(records, "b", None)
    assert remove(records, "a", all_of_image=True) == 1
    assert names(records) == ["b"]


def test_an_answer_that_is_being_recorded_keeps_its_image(records: Records) -> None:
    """The deletion waits for the transaction of the other answer, and then sees it."""
    file = image(1)
    add(records, "a", file)
    deleted = threading.Thread(target=remove, args=(records, "a"))
    recorded = {**row("b", file, "cy"), "created": records.answer("a").facts.created}  # type: ignore[union-attr]
    recorded |= dict.fromkeys(("segments", "prototypes", "neighbours", "similarities"), b"") | {
        "exemplar_ids": "",
        "sequence": 2,
    }
    with records.engine.begin() as connection:
        records.images.insert(connection, records.images.keep(file))
        deleted.start()
        time.sleep(0.5)
        connection.execute(insert(SegmentationRow), recorded)
    deleted.join(30)
    assert names(records) == ["b"]
    assert records.images.has(file.image_id)


def test_lists_show_an_owner_its_own_and_the_newest_of_each_image(records: Records) -> None:
    file, other = image(1), image(2)
    for name, stored, author in (("a", file, "bo"), ("b", other, "cy"), ("c", file, "cy"), ("d", file, "bo")):
        add(records, name, stored, author)
    add(records, "e", None, "bo")
    assert names(records) == ["e", "d", "c", "b", "a"]
    assert names(records, latest=True) == ["e", "d", "b"]
    assert names(records, "bo") == ["e", "d", "a"]
    assert names(records, "cy", latest=True) == ["c", "b"]
    assert records.answer("a", "cy") is None
    assert records.answer("a", "bo") is not None
