"""Verification of a whole database: every row of every table, while the service may use it."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy.engine import make_url

from service.problems import DamageError
from service.records import chain
from service.records.checksums import CHECKSUM
from service.records.head_file import HeadFile, KeptHead, missing_edits
from service.records.objects.store import ObjectStore
from service.records.tables import (
    AnswerPartRow,
    EditRow,
    ExemplarRow,
    ImageObjectRow,
    ImageRow,
    RevisionRow,
    SegmentationRow,
    WebhookProgressRow,
    WebhookRow,
)
from service.verifying.findings import Report
from service.verifying.image_files import ImageFiles
from service.verifying.log_rows import LogEntry, check_links, read_log
from service.verifying.raw_rows import RawDatabase, Row, Unreadable, open_raw
from service.verifying.row_checks import damage_of
from service.verifying.structure import check_structure
from service.verifying.unpacking import ReleaseOf, Unpacking

Say = Callable[[str], None]
_DONE = (
    "edits",
    "exemplars",
    "revisions",
    "segmentations",
    "answer_parts",
    "images",
    "image_objects",
    "webhooks",
    "webhook_progress",
)  # which have steps of their own


def verify_database(
    url: str,
    keeper: HeadFile | None = None,
    say: Say = lambda _: None,
    deep: ReleaseOf | None = None,
    store: ObjectStore | None = None,
) -> Report:
    """Check everything in a database that can be checked. Nothing is written.

    Args:
        url: SQLAlchemy URL.
        keeper: the file that knows the head of the log beside the database; None: it is not compared.
        say: called with what is checked next.
        deep: finds the releases whose exemplars voted, to unpack every answer too; None: checksums alone tell.
        store: has files of images, which are read too; None: they are not.

    Raises:
        ValueError: if the database cannot be opened.
    """
    start = time.monotonic()
    report = Report(make_url(url).render_as_string())
    kept = None if keeper is None else keeper.read()  # before the database, which processes write first
    try:
        with open_raw(url) as database:
            _Verification(database, report, say, deep, store).run(kept)
    except DamageError as error:
        report.add(error.table, error.row, error.what)
    report.seconds = time.monotonic() - start
    return report


class _Verification:
    """The steps, which share what was read."""

    def __init__(
        self, database: RawDatabase, report: Report, say: Say, deep: ReleaseOf | None, store: ObjectStore | None
    ) -> None:
        self._database, self._report, self._say, self._deep, self._store = database, report, say, deep, store
        self._number: int | None = None

    def run(self, kept: KeptHead | None) -> None:
        self._say("the structure")
        tables = check_structure(self._database, self._report)
        if {EditRow.__table__, ExemplarRow.__table__, RevisionRow.__table__} <= set(tables):
            self._say("the log of edits")
            self._check_log(kept)
        if {SegmentationRow.__table__, AnswerPartRow.__table__} <= set(tables):
            self._check_answers()
        self._check_webhooks(tables)
        self._check_images(tables)
        for table in tables:
            if table.name not in _DONE:
                for _ in self._checked(table):
                    pass

    def _check_log(self, kept: KeptHead | None) -> None:
        entries = read_log(self._database, self._report.add)
        self._report.rows["edits"] = len(entries)
        entries.sort(key=lambda entry: entry.row["revision"] if isinstance(entry.row["revision"], int) else -1)
        last = check_links(entries, self._report.add)
        heads = list(self._rows(RevisionRow.__table__))
        if len(heads) != 1:
            return self._report.add("revisions", None, f"it has {len(heads)} rows and must have one")
        head = heads[0]
        number = head["number"]
        if head["seal"] != chain.seal(head["database_id"], number, head["chain"]):
            self._report.add("revisions", "its only row", f"it was altered: its seal does not fit; it says {number!r}")
        elif head["chain"] != last:
            self._report.add(
                "edits", "the last one", f"it is not the one that the table revisions names, which says {number!r}"
            )
        self._number = self._report.edits = number if isinstance(number, int) else None
        if kept is not None and self._number is not None:
            self._compare(kept, head, entries, self._number)
        return None

    def _compare(self, kept: KeptHead, head: Row, entries: list[LogEntry], number: int) -> None:
        chains = {entry.row["revision"]: entry.row["chain"] for entry in entries}
        if kept.database_id != head["database_id"]:
            self._report.add(None, None, "it is another database than the one that the file beside it knows")
        elif kept.number > number:
            missing = missing_edits(number + 1, kept.number)
            self._report.add("edits", None, f"{missing} missing, which the file beside the database knows")
        elif kept.last and chains.get(kept.last) != kept.chain:
            self._report.add(
                "edits", f"revision {kept.last}", "it is another one than the file beside the database knows"
            )

    def _check_webhooks(self, tables: Sequence[Any]) -> None:
        """Check that each webhook has its progress, which is not past the last edit."""
        both = (WebhookRow.__table__, WebhookProgressRow.__table__)
        if not set(both) <= set(tables):
            return
        webhooks = {row["webhook_id"] for row in self._checked(both[0])}
        progress = {row["webhook_id"]: row["edit"] for row in self._checked(both[1])}
        for name in sorted(map(str, webhooks - progress.keys())):
            self._report.add("webhooks", name, "how far it is delivered is missing from webhook_progress")
        for name, edit in progress.items():
            if name not in webhooks:
                self._report.add("webhook_progress", str(name), "its webhook is missing")
            elif self._number is not None and isinstance(edit, int) and edit > self._number:
                self._report.add("webhook_progress", str(name), f"it names edit {edit}, which is missing")

    def _check_images(self, tables: Sequence[Any]) -> None:
        """Check the images, and that each has its content, in its row or in a file of the object store."""
        files = ImageFiles(self._report)
        for table in (ImageRow.__table__, ImageObjectRow.__table__):
            for row in self._checked(table) if table in tables else ():
                if table is ImageRow.__table__:
                    files.note(row)
        if ImageObjectRow.__table__ in tables:
            files.compare(self._database, self._store)

    def _checked(self, table: Any) -> Iterator[Row]:
        """The rows of a table that can be read, each checked for itself."""
        self._say(f"the table {table.name}")
        for row in self._rows(table):
            damage = damage_of(table.name, row)
            name = " ".join(str(row[column.name]) for column in table.primary_key.columns)
            if damage is not None:
                self._report.add(table.name, name, damage)
            elif CHECKSUM in row and row[CHECKSUM] is None:
                self._report.unchecked[table.name] += 1
            yield row

    def _rows(self, table: Any) -> Iterator[Row]:
        for row in self._database.rows(table):
            if isinstance(row, Unreadable):
                self._report.add(table.name, row, f"they cannot be read: {row.why}")
            else:
                self._report.rows[table.name] += 1
                yield row

    def _check_answers(self) -> None:
        parts = {row["part_id"] for row in self._checked(AnswerPartRow.__table__)}
        for row in self._checked(SegmentationRow.__table__):
            missing = [
                row[one] for one in ("shapes_part", "votes_part") if row[one] is not None and row[one] not in parts
            ]
            if missing:
                self._report.add(
                    "segmentations", row["segmentation_id"], f"its parts {missing} are missing from answer_parts"
                )
            after = row["index_revision"]
            if self._number is not None and isinstance(after, int) and after > self._number:
                what = f"it was answered after edit {after}, which is missing"
                self._report.add("segmentations", row["segmentation_id"], what)
        if self._deep is not None:
            self._unpack_answers(self._deep)

    def _unpack_answers(self, release_of: ReleaseOf) -> None:
        self._say("the content of the answers")
        unpacking = Unpacking(self._database, self._report, release_of)
        for row in self._database.rows(SegmentationRow.__table__):  # type: ignore[arg-type]
            if not isinstance(row, Unreadable):
                unpacking.check(row)
