"""Checks of images whose content is in an object store: each has one file, which the database names."""

import hashlib

from service.problems import Problem
from service.records.image_store import is_elsewhere
from service.records.objects.store import ObjectStore
from service.records.tables import ImageObjectRow, ImageRow
from service.verifying.findings import Report
from service.verifying.raw_rows import RawDatabase, Row, Unreadable


class ImageFiles:
    """Compares the tables `images` and `image_objects`, and the files of the store.

    Args:
        report: where findings are noted.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._elsewhere: dict[str, int] = {}  # size by image_id

    def note(self, row: Row) -> None:
        """Take account of a row of `images`."""
        if isinstance(row["image_id"], str) and isinstance(row["size"], int) and is_elsewhere(row):
            self._elsewhere[row["image_id"]] = row["size"]

    def compare(self, database: RawDatabase, store: ObjectStore | None) -> None:
        """Compare with the rows of `image_objects`; with a store, read every file too."""
        missing = dict(self._elsewhere)
        for row in database.rows(ImageObjectRow.__table__):  # type: ignore[arg-type]
            if isinstance(row, Unreadable) or row["image_id"] is None:
                continue
            size = missing.pop(row["image_id"], None)
            if size is None:
                what = "its image is missing, or has its content in the database"
                self._report.add("image_objects", row["object_key"], what)
            elif size != row["size"]:
                self._report.add("image_objects", row["object_key"], f"its size is {row['size']} and must be {size}")
            elif store is None:
                self._report.unread_images += 1
            else:
                store = self._read(row, store)
        for image_id in missing:
            what = f"its content is missing: it is empty, and {ImageObjectRow.__tablename__} names no file"
            self._report.add(ImageRow.__tablename__, image_id, what)

    def _read(self, row: Row, store: ObjectStore) -> ObjectStore | None:
        """Check the content of a file; returns the store, or None if it does not answer."""
        key, image_id = row["object_key"], row["image_id"]
        try:
            content = store.get(key)
        except Problem as problem:
            self._report.add("image_objects", key, f"its file cannot be read, nor others: {problem.received}")
            return None
        if content is None:
            self._report.add("images", image_id, f"its file is missing: the image store has no file {key}")
        elif hashlib.sha256(content).hexdigest() != image_id:
            self._report.add("images", image_id, f"its file was altered: the SHA-256 of {key} is not the image_id")
        return store
