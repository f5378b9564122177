"""Recovery: a new database with every row of a damaged one that is as it was written. The old one is never touched."""

import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Table, func, insert, select, text, update
from sqlalchemy.engine import make_url

from service.records import chain
from service.records.edit_hashes import with_hashes
from service.records.edit_log import Edit
from service.records.head_file import HeadFile
from service.records.schema_version import open_database
from service.records.tables import (
    Base,
    EditRow,
    ExemplarRow,
    ImageObjectRow,
    ImageRow,
    RevisionRow,
    SegmentationRow,
    now,
)
from service.verifying.findings import Report
from service.verifying.log_rows import LogEntry, read_log
from service.verifying.raw_rows import RawDatabase, Row, SQLiteRows, Unreadable, open_file, open_raw
from service.verifying.replaying import Replayed
from service.verifying.row_checks import damage_of

Say = Callable[[str], None]
Replay = Callable[[Sequence[Row], Sequence[Row], Sequence[int]], Replayed]
_BATCH = 200
_HEADER = (  # of an SQLite file of segsort, where it never differs: offset and bytes
    (0, b"SQLite format 3\0\x10\0\x02\x02\0\x40\x20\x20"),
    (44, b"\0\0\0\x04"),
    (56, b"\0\0\0\x01"),
)


class Recovered(NamedTuple):
    """The result of a recovery: what was lost, and the number of the last edit in the new database."""

    report: Report
    number: int
    lost_edits: list[int]


def recover_database(
    url: str,
    out: str,
    keeper: HeadFile | None = None,
    say: Say = lambda _: None,
    replay: Replay = lambda edits, exemplars, lost: Replayed({}, {}),
) -> Recovered:
    """Write a new database with all that is sound in another one.

    An edit is kept if it and its exemplars fit their digests, and nothing that it needs is lost. Kept edits have their
    numbers; numbers of lost edits are not used again. If no edit is lost, the new log equals the old one.

    Args:
        url: SQLAlchemy URL of the damaged database.
        out: SQLAlchemy URL of the new one, which must not exist, or be empty.
        keeper: the file that knows the head of the log beside the old database.
        say: called with what is done next.
        replay: finds which edits can be made, among those of one release with their exemplars, without the lost ones.

    Raises:
        ValueError: if nothing can be read, or the new database exists.
    """
    _check_new(out)
    report = Report(make_url(url).render_as_string())
    with _open_damaged(url, say) as old:
        target = open_database(out)
        try:
            with target.begin() as connection:
                return _Recovery(old, connection, report, say).run(keeper, replay)
        finally:
            target.dispose()


def _check_new(out: str) -> None:
    parsed = make_url(out)
    if parsed.get_backend_name() == "sqlite":
        if Path(str(parsed.database)).exists():
            raise ValueError(f"{parsed.database} exists; a recovery writes a new database: give another name")
        return
    engine = open_database(out)
    try:
        with engine.connect() as connection:
            if any(connection.execute(select(table).limit(1)).first() for table in _copied()):
                raise ValueError(f"the database {parsed.render_as_string()} is not empty; give an empty one")
    finally:
        engine.dispose()


def _copied() -> list[Table]:
    return [table for table in Base.metadata.sorted_tables if table.name != "revisions"]


@contextmanager
def _open_damaged(url: str, say: Say) -> Iterator[RawDatabase]:
    """Open a database, if need be a copy of its file whose header is written anew."""
    try:
        with open_raw(url) as database:
            yield database
            return
    except ValueError:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite" or not Path(str(parsed.database)).is_file():
            raise
    say("a copy of the file, whose header or schema is damaged")
    with tempfile.TemporaryDirectory(prefix="segsort-recover-") as folder:
        copy = Path(folder) / "copy.sqlite"
        shutil.copyfile(str(parsed.database), copy)
        wal = Path(f"{parsed.database}-wal")
        if wal.exists():
            shutil.copyfile(wal, f"{copy}-wal")
        with copy.open("r+b") as file:
            for offset, content in _HEADER:
                file.seek(offset)
                file.write(content)
        try:
            connection = open_file(copy, "rw")
        except ValueError:
            _renew_schema(copy, Path(folder) / "fresh.sqlite")
            connection = open_file(copy, "rw")
        with closing(connection):
            yield SQLiteRows(connection)


def _renew_schema(copy: Path, fresh: Path) -> None:
    """Write how tables and indexes are declared as in a new database. The places of their pages stay."""
    open_database(f"sqlite:///{fresh}").dispose()
    with closing(sqlite3.connect(fresh)) as new, closing(sqlite3.connect(copy)) as old:
        declared = new.execute("SELECT type, tbl_name, sql, name FROM sqlite_schema").fetchall()
        try:
            old.execute("PRAGMA writable_schema=ON")
            old.executemany("UPDATE sqlite_schema SET type = ?, tbl_name = ?, sql = ? WHERE name = ?", declared)
            names = [name for *_, name in declared]
            marks = ", ".join("?" * len(names))
            old.execute(f"DELETE FROM sqlite_schema WHERE name NOT IN ({marks})", names)
            old.commit()
        except sqlite3.Error:  # what cannot be read stays so, and is reported as it is read
            old.rollback()


class _Recovery:
    """The steps, which share what was read."""

    def __init__(self, old: RawDatabase, new: Connection, report: Report, say: Say) -> None:
        self._old, self._new, self._report, self._say = old, new, report, say

    def run(self, keeper: HeadFile | None, replay: Replay) -> Recovered:
        self._say("the log of edits")
        entries = read_log(self._old, self._report.add)
        entries = [entry for entry in entries if isinstance(entry.row["revision"], int)]
        entries.sort(key=lambda entry: int(entry.row["revision"]))
        number = self._last_number(entries, keeper)
        kept = [entry.row for entry in entries if entry.row_is_sound and entry.exemplars_are_sound]
        exemplars = self._exemplars({row["revision"] for row in kept})
        lost = sorted(set(range(1, number + 1)) - {row["revision"] for row in kept})
        if lost:
            whole = {row["revision"] for row in kept}
            kept = self._without_dependents(kept, exemplars, lost, replay)
            lost = sorted(set(range(1, number + 1)) - (whole & {row["revision"] for row in kept}))
        self._write_log(kept, exemplars, number, is_whole=not lost)
        for table in _copied():
            if table.name not in ("edits", "exemplars"):
                self._copy(table)
        self._detach_files()
        self._set_sequences()
        return Recovered(self._report, number, lost)

    def _last_number(self, entries: list[LogEntry], keeper: HeadFile | None) -> int:
        """The largest number that any place knows of: numbers of lost edits must not be used again."""
        known = [0, *(int(entry.row["revision"]) for entry in entries if entry.row_is_sound)]
        for row in self._old.rows(RevisionRow.__table__):  # type: ignore[arg-type]
            if isinstance(row, Unreadable):
                continue
            try:
                sealed = row["seal"] == chain.seal(row["database_id"], row["number"], row["chain"])
            except KeyError:
                sealed = False
            if sealed:
                known.append(row["number"])
            else:
                self._report.add("revisions", "its only row", f"it was altered; it says {row.get('number')!r}")
        kept = None if keeper is None else keeper.read()
        known += [kept.number] if kept is not None else []
        for row in self._old.rows(SegmentationRow.__table__):  # type: ignore[arg-type]
            if not isinstance(row, Unreadable) and not damage_of("segmentations", row):
                known.append(row["index_revision"])
        return max(known)

    def _exemplars(self, revisions: set[int]) -> list[Row]:
        rows = [
            row for row in self._old.rows(ExemplarRow.__table__)  # type: ignore[arg-type]
            if not isinstance(row, Unreadable) and row["revision"] in revisions
        ]  # fmt: skip
        return sorted(rows, key=lambda row: (row["revision"], row["place"]))

    def _without_dependents(self, kept: list[Row], exemplars: list[Row], lost: list[int], replay: Replay) -> list[Row]:
        reasons, stand_ins = dict[int, str](), list[Row]()
        for key in dict.fromkeys((row["release"], row.get("release_digest")) for row in kept):
            mine = [row for row in kept if (row["release"], row.get("release_digest")) == key]
            revisions = {row["revision"] for row in mine}
            found = replay(mine, [row for row in exemplars if row["revision"] in revisions], lost)
            reasons |= found.impossible
            stand_ins += map(_row_of, found.stand_ins.values())
        for revision, why in sorted(reasons.items()):
            self._report.add("edits", f"revision {revision}", f"it was left out, because it needs a lost edit: {why}")
        for row in stand_ins:
            self._report.add("edits", f"revision {row['revision']}", 'classes that it made are named "lost class" now')
        kept = [row for row in kept if row["revision"] not in reasons]
        return sorted(kept + stand_ins, key=lambda row: int(row["revision"]))

    def _write_log(self, kept: list[Row], exemplars: list[Row], number: int, is_whole: bool) -> None:
        """Write the edits. The chain is computed anew, which changes it only behind a lost edit."""
        revisions, last, edits = {row["revision"] for row in kept}, chain.GENESIS, []
        for row in kept:
            last = chain.link(last, row["revision"], row["release"], row["kind"], row["digest"])
            edits.append({**row, "chain": last})
        self._insert(EditRow.__table__, edits)
        self._insert(ExemplarRow.__table__, [row for row in exemplars if row["revision"] in revisions])
        database_id = self._database_id() if is_whole else uuid.uuid4().hex
        head = {"number": number, "chain": last, "database_id": database_id}
        sealed = chain.seal(database_id, number, last)
        self._new.execute(update(RevisionRow).values(**head, seal=sealed))
        self._report.edits = number

    def _database_id(self) -> str:
        """That of the old database, where its row is sound: its log is the same."""
        for row in list(self._old.rows(RevisionRow.__table__)):  # type: ignore[arg-type]  # to the end of the cursor
            if not isinstance(row, Unreadable) and isinstance(row.get("database_id"), str):
                return str(row["database_id"])
        return uuid.uuid4().hex

    def _copy(self, table: Table) -> None:
        """Copy the sound rows of a table."""
        self._say(f"the table {table.name}")
        batch: list[Row] = []
        seen: set[Any] = set()
        for row in self._old.rows(table):
            if isinstance(row, Unreadable):
                self._report.add(table.name, row, f"they cannot be read: {row.why}")
                continue
            key = tuple(row[column.name] for column in table.primary_key.columns)
            damage = damage_of(table.name, row) or ("there are two of it" if key in seen else None)
            if damage:
                self._report.add(table.name, " ".join(map(str, key)), f"it was left out: {damage}")
                continue
            seen.add(key)
            batch.append(row)
            if len(batch) == _BATCH:
                self._insert(table, batch)
                batch = []
        self._insert(table, batch)

    def _insert(self, table: Any, rows: Sequence[Row]) -> None:
        if rows:
            self._new.execute(insert(table), [dict(row) for row in rows])
            self._report.rows[table.name] += len(rows)

    def _detach_files(self) -> None:
        """Files of images that were left out count as unused from now on."""
        own = select(ImageRow.image_id).where(func.length(ImageRow.content) == 0)
        lost = update(ImageObjectRow).where(ImageObjectRow.image_id.not_in(own))
        self._new.execute(lost.values(image_id=None, unused_since=now()))

    def _set_sequences(self) -> None:
        """Let PostgreSQL continue the numbers of rows."""
        if self._new.dialect.name != "postgresql":
            return
        for table, column, name in (
            ("segmentations", "sequence", "segmentations_sequence"),
            ("images", "sequence", "images_sequence"),
            ("answer_parts", "part_id", "answer_parts_part_id_seq"),
        ):
            last = self._new.execute(select(func.max(Base.metadata.tables[table].c[column]))).scalar() or 0
            self._new.execute(text("SELECT setval(:name, :next, false)"), {"name": name, "next": last + 1})


def _row_of(edit: Edit) -> Row:
    row = {**vars(edit), "payload": orjson.dumps(edit.payload)}
    return with_hashes(row, [], chain.GENESIS)  # its chain is computed when it is written
