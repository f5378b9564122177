"""Tables and times of the database."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Double

from service.records.schema_version import open_database
from service.records.tables import Base, RevisionRow, iso, last_revision, now


def test_the_tables_are_those_that_the_documentation_names() -> None:
    tables = {
        "segmentations",
        "answer_parts",
        "images",
        "image_objects",
        "revisions",
        "edits",
        "edit_fits",
        "exemplars",
    }
    tables |= {"jobs", "job_images", "sessions", "usage", "ended_jobs", "webhooks", "webhook_progress"}
    assert set(Base.metadata.tables) == tables


def test_numbers_with_a_fraction_have_double_precision_everywhere() -> None:
    columns = [column for table in Base.metadata.sorted_tables for column in table.columns]
    doubles = {f"{c.table.name}.{c.name}" for c in columns if isinstance(c.type, Double)}
    assert doubles == {
        "segmentations.kappa", "segmentations.image_similarity", "exemplars.strength", "jobs.progress",
    }  # fmt: skip


def test_the_columns_of_an_image_that_are_read_alone_are_before_its_content() -> None:
    names = list(Base.metadata.tables["images"].columns.keys())
    assert names[names.index("content") :] == ["content", "sequence", "checksum"]


def test_times_are_in_utc_without_a_zone() -> None:
    assert now().tzinfo is None
    assert abs(now().replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert iso(datetime(2026, 1, 2, 3, 4, 5, 678_900)) == "2026-01-02T03:04:05.678Z"
    assert iso(datetime.fromisoformat("2026-01-02T01:04:05-02:00")) == "2026-01-02T03:04:05.000Z"


def test_the_last_revision_is_the_number_in_the_single_row() -> None:
    with open_database("sqlite://").begin() as connection:
        assert last_revision(connection) == 0
        connection.execute(RevisionRow.__table__.update().values(number=7))
        assert last_revision(connection) == 7
