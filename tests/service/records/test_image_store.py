"""Image files in the database."""

import hashlib
from collections.abc import Iterator
from datetime import datetime

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import insert

from service.records.image_store import ImageFile, ImageStore, image_is_stored, insert_image
from service.records.schema_version import open_database
from service.records.tables import ExemplarRow


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


def image(n: int, size: int = 100) -> ImageFile:
    return ImageFile.of(bytes([n]) * size, (3, 4))


def store(database: Database, images: ImageStore, *files: ImageFile) -> None:
    for file in files:
        with database.begin() as connection:
            images.insert(connection, images.keep(file))


def make_exemplar(database: Database, file: ImageFile) -> None:
    row = {
        "release": "r", "exemplar_id": file.image_id, "revision": 1, "place": 0, "prototype": b"", "class_id": 0,
        "strength": 1.0, "image_id": file.image_id, "source": "s", "width": 4, "height": 3, "bbox": b"[]", "area": 1,
        "mask": "",
    }  # fmt: skip
    with database.begin() as connection:
        connection.execute(insert(ExemplarRow), row)


@pytest.mark.parametrize(
    ("start", "media_type"),
    [
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n", "image/png"),
        (b"RIFF1234WEBP", "image/webp"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"BM", "image/bmp"),
        (b"GIF89a", "image/gif"),
        (b"<svg", "application/octet-stream"),
    ],
)
def test_the_media_type_follows_from_the_first_bytes(start: bytes, media_type: str) -> None:
    file = ImageFile.of(start, (3, 4))
    assert (file.media_type, file.width, file.height) == (media_type, 4, 3)
    assert file.image_id == hashlib.sha256(start).hexdigest()


def test_an_image_is_read_as_it_was_stored(database: Database) -> None:
    images = ImageStore(database, 1000)
    store(database, images, image(1))
    assert images.get(image(1).image_id) == image(1)
    assert images.has(image(1).image_id)
    assert not images.has(image(2).image_id)
    assert images.get(None) is None
    assert images.which({image(1).image_id, image(2).image_id}) == {image(1).image_id}


def test_without_a_budget_only_images_of_exemplars_are_stored(database: Database) -> None:
    images = ImageStore(database, 0)
    store(database, images, image(1))
    assert not images.has(image(1).image_id)
    with database.begin() as connection:
        insert_image(connection, image(1))
        assert image_is_stored(connection, image(1).image_id)
    images.trim()
    assert not images.has(image(1).image_id)


def test_the_oldest_images_past_the_budget_are_removed(database: Database) -> None:
    images = ImageStore(database, 250)
    store(database, images, image(1), image(2), image(3))
    images.trim()
    assert [images.has(image(n).image_id) for n in (1, 2, 3)] == [False, True, True]


def test_an_image_that_is_stored_again_becomes_the_newest(database: Database) -> None:
    images = ImageStore(database, 250)
    store(database, images, image(1), image(2), image(3), image(1))
    images.trim()
    assert [images.has(image(n).image_id) for n in (1, 2, 3)] == [True, False, True]


def test_images_of_exemplars_are_kept_and_do_not_count(database: Database) -> None:
    images = ImageStore(database, 250)
    store(database, images, image(1), image(2), image(3))
    make_exemplar(database, image(1))
    images.trim()
    assert [images.has(image(n).image_id) for n in (1, 2, 3)] == [True, True, True]


def test_the_database_is_searched_again_after_two_percent_of_the_budget(database: Database) -> None:
    images = ImageStore(database, 10_000)
    store(database, images, image(1, 6_000))
    images.trim()
    store(database, images, image(2, 100))
    images.budget = 50  # would remove both
    images._unchecked = 1
    images.trim()
    assert images.has(image(2, 100).image_id)
    store(database, images, image(3, 100))
    images.trim()
    assert [images.has(f.image_id) for f in (image(1, 6_000), image(2), image(3))] == [False, False, False]


def test_a_clock_that_is_set_back_does_not_remove_the_newest_images(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = ImageStore(database, 250)
    store(database, images, image(1), image(2))
    monkeypatch.setattr("service.records.image_store.now", lambda: datetime(2001, 1, 1))
    store(database, images, image(3), image(1))
    images.trim()
    assert images.which({image(n).image_id for n in (1, 2, 3)}) == {image(3).image_id, image(1).image_id}
