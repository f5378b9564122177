"""Images whose content is in an object store: none is lost, none is left behind, and damage is named."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import delete, select, update

from service.problems import DamageError, Problem
from service.records.image_store import ImageFile, ImageStore
from service.records.objects.images import ImageObjects
from service.records.objects.moving import to_database, to_store
from service.records.objects.store import ObjectStore
from service.records.schema_version import open_database
from service.records.tables import ImageObjectRow, ImageRow, now
from service.verifying.verify import verify_database
from tests.service.records.test_image_store import image, make_exemplar, store


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def replica(database: Database, folder: Path) -> Callable[[], ImageStore]:
    """Makes the images of another process over the same database and store."""
    return lambda: ImageStore(database, 1000, ImageObjects(database, ObjectStore(f"file://{folder}")))


@pytest.fixture
def images(replica: Callable[[], ImageStore]) -> ImageStore:
    return replica()


def files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def let_pass(database: Database, hours: float) -> None:
    """Let time pass for files that no image has."""
    with database.begin() as connection:
        earlier = now() - timedelta(hours=hours)
        unused = ImageObjectRow.unused_since.is_not(None)
        connection.execute(update(ImageObjectRow).where(unused).values(unused_since=earlier))


def delete_unused(images: ImageStore) -> int:
    assert images.objects is not None
    images.objects._next = 0.0
    return images.objects.delete_unused()


def remove(database: Database, images: ImageStore) -> None:
    """Remove all images that nothing protects."""
    images.budget, images._unchecked = 1, 1
    images.trim()
    images.budget = 1000


def test_another_process_reads_an_image_as_soon_as_it_is_stored(
    database: Database, replica: Callable[[], ImageStore], folder: Path
) -> None:
    store(database, replica(), image(1))
    other = replica()
    assert other.get(image(1).image_id) == image(1)
    assert [file.read_bytes() for file in files(folder)] == [image(1).content]
    with database.connect() as connection:
        assert connection.execute(select(ImageRow.content)).scalars().all() == [b""]


def test_an_image_that_is_stored_already_is_not_written_again(
    database: Database, images: ImageStore, folder: Path
) -> None:
    store(database, images, image(1), image(1))
    assert len(files(folder)) == 1


def test_an_image_of_many_writers_has_one_file_at_the_end(
    database: Database, replica: Callable[[], ImageStore], folder: Path
) -> None:
    kept = [one.keep(image(1)) for one in (replica() for _ in range(4))]
    with ThreadPoolExecutor(4) as pool:

        def write(n: int) -> None:
            with database.begin() as connection:
                replica().insert(connection, kept[n])

        list(pool.map(write, range(4)))
    assert len(files(folder)) == 4
    let_pass(database, hours=2)
    assert delete_unused(replica()) == 3
    assert len(files(folder)) == 1
    assert replica().get(image(1).image_id) == image(1)


def test_the_file_of_a_process_that_ended_before_its_row_is_deleted_later(
    database: Database, images: ImageStore, folder: Path
) -> None:
    images.keep(image(1))
    assert delete_unused(images) == 0
    assert len(files(folder)) == 1
    let_pass(database, hours=2)
    assert delete_unused(images) == 1
    assert files(folder) == []


def test_the_file_of_a_removed_image_is_deleted_after_the_grace(
    database: Database, images: ImageStore, folder: Path
) -> None:
    store(database, images, image(1), image(2))
    make_exemplar(database, image(2))
    remove(database, images)
    assert images.which({image(1).image_id, image(2).image_id}) == {image(2).image_id}
    assert (delete_unused(images), len(files(folder))) == (0, 2)
    let_pass(database, hours=2)
    assert (delete_unused(images), len(files(folder))) == (1, 1)
    assert images.get(image(2).image_id) == image(2)
    with database.connect() as connection:
        assert len(connection.execute(select(ImageObjectRow.object_key)).all()) == 1


def test_an_image_that_is_stored_again_while_its_file_is_deleted_is_not_lost(
    database: Database, images: ImageStore
) -> None:
    store(database, images, image(1))
    remove(database, images)
    let_pass(database, hours=2)
    kept = images.keep(image(1))
    assert delete_unused(images) == 1
    with database.begin() as connection:
        images.insert(connection, kept)
    assert images.get(image(1).image_id) == image(1)


def test_a_file_that_is_being_deleted_does_not_become_that_of_an_image(database: Database, images: ImageStore) -> None:
    kept = images.keep(image(1))
    let_pass(database, hours=2)
    assert delete_unused(images) == 1
    with pytest.raises(Problem) as caught, database.begin() as connection:
        images.insert(connection, kept)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
    assert not images.has(image(1).image_id)


def test_an_image_that_is_removed_between_the_look_and_the_row_is_sent_again(
    database: Database, images: ImageStore
) -> None:
    store(database, images, image(1))
    kept = images.keep(image(1))
    assert kept.object_key is None
    remove(database, images)
    with pytest.raises(Problem, match="deleted while it was stored again"), database.begin() as connection:
        images.insert(connection, kept)
    store(database, images, image(1))
    assert images.get(image(1).image_id) == image(1)


def test_a_deletion_that_fails_is_tried_again(database: Database, images: ImageStore, folder: Path) -> None:
    images.keep(image(1))
    let_pass(database, hours=2)
    assert images.objects is not None
    images.objects.store._state.fail()
    assert (delete_unused(images), len(files(folder))) == (0, 1)
    images.objects.store._state.succeed()
    assert (delete_unused(images), len(files(folder))) == (1, 0)


@pytest.mark.parametrize("content", [None, b"other"])
def test_a_missing_or_altered_file_is_gone_and_is_found_by_verify(
    database: Database, replica: Callable[[], ImageStore], folder: Path, content: bytes | None, database_url: str
) -> None:
    store(database, replica(), image(1), image(2))
    file = next(file for file in files(folder) if image(1).image_id in file.name)
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(DamageError, match="its file is missing" if content is None else "altered") as caught:
        replica().get(image(1).image_id)
    assert caught.value.status == 410
    assert replica().get(image(2).image_id) == image(2)
    found = verify_database(database_url, store=ObjectStore(f"file://{folder}"))
    assert [(one.table, one.row) for one in found.findings] == [("images", image(1).image_id)]
    shallow = verify_database(database_url)
    assert (shallow.findings, shallow.unread_images) == ([], 2)


def test_verify_finds_an_image_without_content_and_a_file_without_image(
    database: Database, images: ImageStore, database_url: str
) -> None:
    store(database, images, image(1), image(2))
    with database.begin() as connection:
        connection.execute(delete(ImageObjectRow).where(ImageObjectRow.image_id == image(1).image_id))
        connection.execute(delete(ImageRow).where(ImageRow.image_id == image(2).image_id))
    found = {
        (one.table, one.what.partition(":")[0].partition(",")[0]) for one in verify_database(database_url).findings
    }
    assert found == {("images", "its content is missing"), ("image_objects", "its image is missing")}


def test_images_move_to_the_store_and_back(database: Database, images: ImageStore, folder: Path) -> None:
    plain = ImageStore(database, 1000)
    files_before = [image(n, 50 * n) for n in (1, 2, 3)]
    store(database, plain, *files_before)
    assert images.objects is not None
    moved = list(to_store(database, images.objects.store))
    assert sorted(one.size for one in moved) == [50, 100, 150]
    assert list(to_store(database, images.objects.store)) == []
    assert [images.get(one.image_id) for one in files_before] == files_before
    with pytest.raises(ValueError, match="SEGSORT_IMAGES_URL is not set"):
        plain.check()
    with pytest.raises(Problem, match="none is set"):
        plain.get(image(1, 50).image_id)
    assert len(list(to_database(database, images.objects.store))) == 3
    plain.check()
    assert [plain.get(one.image_id) for one in files_before] == files_before
    let_pass(database, hours=2)
    assert (delete_unused(images), files(folder)) == (3, [])


def test_an_altered_image_is_not_moved(database: Database, images: ImageStore) -> None:
    store(database, ImageStore(database, 1000), image(1))
    with database.begin() as connection:
        connection.execute(update(ImageRow).values(content=b"other"))
    assert images.objects is not None
    assert [one.fault for one in to_store(database, images.objects.store)] == [
        "its content was altered; see `segsort verify`"
    ]


def test_a_store_without_the_images_of_the_database_is_refused_at_the_start(
    database: Database, images: ImageStore, tmp_path: Path
) -> None:
    store(database, images, image(1))
    images.check()
    elsewhere = ImageStore(database, 1000, ImageObjects(database, ObjectStore(f"file://{tmp_path / 'elsewhere'}")))
    with pytest.raises(ValueError, match="does not have the images of the database"):
        elsewhere.check()


def test_recent_images_are_read_from_memory(database: Database, folder: Path) -> None:
    objects = ImageObjects(database, ObjectStore(f"file://{folder}"), cache=150)
    images = ImageStore(database, 1000, objects)
    store(database, images, image(1), image(2))
    for file in files(folder):
        file.unlink()
    assert images.get(image(2).image_id) == image(2)
    with pytest.raises(DamageError):  # the memory has room for one
        images.get(image(1).image_id)


def test_an_image_is_described_by_its_content(database: Database, images: ImageStore) -> None:
    kept = images.begin_to_keep(image(1).content, (3, 4))
    assert kept is not None
    assert kept().image == ImageFile.of(image(1).content, (3, 4))
