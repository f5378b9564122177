"""Damage of single bytes of a database: each is detected, or does no harm.

    python -m benchmarks.damage [--count 200] [--release RELEASE] [--seed 0]

A service answers images and makes edits of all kinds. Then one random byte of a copy of its SQLite file is changed at a
time. `segsort verify` reads the copy, and the start of a service replays its edits. A damage is

- named: the verification names a table, or the start does;
- detected: the verification or the start refuses the database as a whole;
- harmless: nothing is reported, and every row of every table is as before;
- missed: nothing is reported, and a row differs. There must be none.
"""

import argparse
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np

from benchmarks.common import report
from benchmarks.running_service import running_service
from benchmarks.writers import encoded
from model_store.live import LiveExemplars
from model_store.release import Release
from model_store.store import open_store
from service.problems import DamageError
from service.records.follower import Follower
from service.records.live_release import LiveRelease
from service.records.schema_version import open_database
from service.records.tables import Base
from service.verifying.raw_rows import open_raw
from service.verifying.verify import verify_database

Contents = Mapping[str, list[Any]]


class Outcome(NamedTuple):
    """What came of one changed byte: its place, the outcome, whether the start refused it, and what was said."""

    offset: int
    outcome: str
    start_refused: bool
    said: str


def contents(file: Path) -> Contents:
    """Every row of every table."""
    with open_raw(f"sqlite:///{file}") as database:
        return {table.name: list(database.rows(table)) for table in Base.metadata.sorted_tables}


def settle(file: Path) -> None:
    """Write everything in the write-ahead log of a database into its file."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def outcome_of(file: Path, offset: int, whole: Contents, release: Release) -> Outcome:
    """The outcome of a damage that was done.

    Raises:
        Exception: any error that the start or the verification does not report in words, which is a fault of theirs.
    """
    refused = _start(f"sqlite:///{file}", release)  # first: it may write, as a start does
    try:
        found = verify_database(f"sqlite:///{file}")
    except ValueError as error:
        return Outcome(offset, "detected", refused is not None, str(error))
    if not found.sound:
        named = any(finding.table for finding in found.findings)
        return Outcome(offset, "named" if named else "detected", refused is not None, str(found.findings[0]))
    if refused is not None:
        named = isinstance(refused, DamageError) and refused.table is not None
        return Outcome(offset, "named" if named else "detected", True, str(refused))
    same = contents(file) == whole
    return Outcome(offset, "harmless" if same else "missed", False, "")


def _start(url: str, release: Release) -> ValueError | None:
    """Replay the edits as a start does; returns why it is refused."""
    try:
        database = open_database(url)
    except ValueError as error:
        return error
    try:
        Follower(database).follow(LiveRelease.of(LiveExemplars.of_release(release)))
    except ValueError as error:
        return error
    finally:
        database.dispose()
    return None


def damage_copies(file: Path, release: Release, count: int, seed: int) -> list[Outcome]:
    """Change one random byte at a time in copies of a database that no process has open."""
    random, whole, size = np.random.default_rng(seed), contents(file), file.stat().st_size
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for n in range(count):
            copy = Path(folder) / f"{n}.sqlite"
            shutil.copyfile(file, copy)
            offset = int(random.integers(size))
            with copy.open("r+b") as damaged:
                damaged.seek(offset)
                before = damaged.read(1)[0]
                damaged.seek(offset)
                damaged.write(bytes([before ^ int(random.integers(1, 256))]))
            outcomes.append(outcome_of(copy, offset, whole, release))
            for left in Path(folder).glob(f"{n}.*"):
                left.unlink()
    return outcomes


def fill(url: str, images: list[bytes]) -> None:
    """Let a service answer images, and make edits of all kinds."""
    with httpx.Client(base_url=url, timeout=120) as client:
        fill_client(client, images)


def fill_client(client: httpx.Client, images: list[bytes]) -> None:
    """Let the service of a client answer images, and make edits of all kinds."""
    for number, image in enumerate(images):
        answer = client.post("/segment?segments=20", content=image).raise_for_status().json()
        segment = answer["segments"][0]["segment_id"]
        body = {"class_name": f"class {number % 3}", "reason": "a test"}
        edit = client.post(f"/segments/{segment}/label", json=body).raise_for_status().json()["edit"]
        if number % 4 == 3:
            client.post(f"/edits/{edit['revision']}/revert", json={"reason": "a test"}).raise_for_status()
        if number % 4 == 2:
            client.delete(f"/exemplars/{edit['exemplar_ids'][0]}").raise_for_status()
        if number % 4 == 1:
            client.post("/classes", json={"name": f"made {number}"}).raise_for_status()


def random_images(count: int, seed: int) -> list[bytes]:
    """PNG images of coloured blocks, which are small: most of the database is then something else."""
    random = np.random.default_rng(seed)
    blocks = (
        np.repeat(np.repeat(random.integers(0, 256, (6, 8, 3), dtype=np.uint8), 16, 0), 16, 1) for _ in range(count)
    )
    return [encoded(one) for one in blocks]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--release")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        flags = () if options.release is None else ("--release", options.release)
        with running_service(data, *flags, patience=300) as url:
            fill(url, random_images(options.images, options.seed))
        file = data / "segsort.sqlite"
        settle(file)
        release = Release.open(open_store(data).resolve(options.release))
        outcomes = damage_copies(file, release, options.count, options.seed)
        megabytes = file.stat().st_size / 1e6
    counts = Counter(one.outcome for one in outcomes)
    rows = [{"outcome": kind, "damages": counts[kind]} for kind in ("named", "detected", "harmless", "missed")]
    starts = sum(one.start_refused for one in outcomes)
    details = {
        "database_mb": megabytes,
        "refused_at_the_start": starts,
        "outcomes": [one._asdict() for one in outcomes],
    }
    report("damage", rows, details)
    if counts["missed"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
