"""Size of a database after many answers with a retention, and how long writers wait while old answers are deleted.

    python -m benchmarks.retention [--answers 100000] [--keep 10000] [--database URL]

Answers have the size of those of a street image. They are copies made by SQL statements of 50 answers. Beside them a
writer records one answer at a time, whose longest wait is measured.
"""

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, text

from segsort.masks import encode_rle
from service.records.database import RecordedNeighbours, Records
from service.records.figures import file_of
from service.records.retention import Retention
from service.records.vacuum import give_back

_COPIED = 50  # answers that one statement makes
_PAUSE = 0.1  # seconds between two: about 400 answers a second, twenty times what two cores segment
_SHAPES, _VOTES = 18_900, 8_100  # bytes, measured on street images of 480 x 360 with 99 segments
_COLUMNS = (
    "created, width, height, release, release_path, index_revision, k, kappa, image_similarity, segments, prototypes, "
    "exemplar_ids, neighbours, similarities, segment_count, pinned, size, shapes_part, votes_part"
)


def main() -> None:
    """Fill, prune and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=100_000)
    parser.add_argument("--keep", type=int, default=10_000)
    parser.add_argument("--database", help="SQLAlchemy URL of an empty database; default: an SQLite file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.database or f"sqlite:///{Path(folder) / 'a.sqlite'}"
        records = Records(url, retention=Retention(answers=arguments.keep))
        print(json.dumps(_measured(records, arguments.answers), indent=2))
        records.close()


def _measured(records: Records, answers: int) -> dict[str, object]:
    stop, waits, sizes = threading.Event(), [0.0], [0]
    threads = [
        threading.Thread(target=_prune, args=(records, stop)),
        threading.Thread(target=_write, args=(records, stop, waits)),
    ]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    for number in range(answers // _COPIED):
        with records.engine.begin() as connection:
            _copy(connection, number)
        sizes.append(_size(records))
        time.sleep(_PAUSE)
    filled = time.monotonic() - began
    stop.set()
    for thread in threads:
        thread.join()
    records.pruner.all()
    while give_back(records.engine):
        pass
    records.room._next = 0
    records.room.look()
    figures = records.room.figures
    return {
        "answers_written": answers + len(waits) - 1, "seconds": round(filled, 1), "answers_left": figures.answers,
        "pruned": records.pruner.pruned, "largest_mb": round(max(sizes) / 1e6),
        "at_the_end_mb": round(_size(records) / 1e6),
        "kb_an_answer": round(figures.used / figures.answers / 1000, 1),
        "writer_waits_ms": {name: round(1000 * float(np.percentile(waits[1:], p)), 1) for name, p in
                            (("median", 50), ("p99", 99), ("longest", 100))},
    }  # fmt: skip


def _prune(records: Records, stop: threading.Event) -> None:
    while not stop.wait(0.25):
        records.pruner.round()
        give_back(records.engine)


def _write(records: Records, stop: threading.Event, waits: list[float]) -> None:
    facts = {"width": 4, "height": 1, "release": "r", "release_path": "/r", "index_revision": 0, "k": 1, "kappa": 1.0}
    facts |= {"image_similarity": 0.5}
    masks = encode_rle(np.array([[0, 0, 1, 1]], dtype=np.int32), 2)
    segments = [{"class_id": 0, "share": 1.0, "confidence": 0.5, "known": True, "counts": mask} for mask in masks]
    found = RecordedNeighbours(
        np.eye(2, dtype=np.float32), ["e"], np.zeros((2, 1), np.int32), np.ones((2, 1), np.float32)
    )
    while not stop.wait(0.02):
        began = time.monotonic()
        records.add(facts | {"segmentation_id": f"w{len(waits)}"}, segments, found)
        waits.append(time.monotonic() - began)


def _copy(connection: Connection, number: int) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    random = "randomblob(:size)" if is_sqlite else "(SELECT decode(repeat(md5(random()::text), :size / 16), 'hex'))"
    series = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
    parts = []
    for size in (_SHAPES, _VOTES):
        insert = f"INSERT INTO answer_parts (content) {series} SELECT {random} FROM n"
        connection.execute(text(insert), {"size": size, "count": _COPIED})
        parts.append(int(connection.execute(text("SELECT max(part_id) FROM answer_parts")).scalar_one()) - _COPIED)
    sequence = (
        "(SELECT coalesce(max(sequence), 0) FROM segmentations) + i"
        if is_sqlite
        else "nextval('segmentations_sequence')"
    )
    created = "datetime('now') || '.000000'" if is_sqlite else "now() at time zone 'utc'"
    empty = "''" if is_sqlite else "''::bytea"
    values = (
        f"{created}, 480, 360, 'r', '/r', 0, 20, 10, 0.5, {empty}, {empty}, '', {empty}, {empty}, 99, false, "
        f"{_SHAPES + _VOTES}, {parts[0]} + i, {parts[1]} + i"
    )
    connection.execute(
        text(
            f"INSERT INTO segmentations (segmentation_id, sequence, {_COLUMNS}) {series} "
            f"SELECT 'c' || (:first + i), {sequence}, {values} FROM n"
        ),
        {"first": number * _COPIED, "count": _COPIED},
    )


def _size(records: Records) -> int:
    """Bytes of the database on the disk."""
    file = file_of(records.engine)
    if file is not None:
        return sum(one.stat().st_size for one in file.parent.iterdir() if one.name.startswith(file.name))
    with records.engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


if __name__ == "__main__":
    main()
