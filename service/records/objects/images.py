"""Content of images as files of an object store, and the deletion of files that no image has any more."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine

from service.byte_cache import ByteCache
from service.problems import Problem
from service.records.objects.availability import StoreUnavailable
from service.records.objects.rows import (
    attach,
    claim_unused,
    forget,
    has_content,
    missing_file,
    new_key,
    newest_key,
    reserve,
)
from service.records.objects.store import ObjectStore

T = TypeVar("T")
_PUTS = 16  # images of answers that are written at the same time
_DELETED_AT_ONCE = 20  # files of one round
_PAUSE = 5.0  # seconds between two looks for unused files, while there are none
LEAST_GRACE = 600.0  # seconds; longer than any request may take between the writing of a file and that of its row


class ImageObjects:
    """Files of images in an object store.

    Args:
        database: names the files.
        store: holds them.
        grace: seconds for which a file stays after its image was deleted.
        cache: bytes of recently used files that are kept in memory.

    Attributes:
        store: as given.
        deleted: number of files that this process deleted.
    """

    def __init__(self, database: Engine, store: ObjectStore, grace: float = 3600, cache: int = 0) -> None:
        self.store = store
        self._database, self._grace, self._cache = database, max(grace, LEAST_GRACE), ByteCache(cache)
        self._pool = ThreadPoolExecutor(_PUTS, thread_name_prefix="segsort-images")
        self.deleted = 0
        self._next = 0.0

    def check(self) -> None:
        """Check that the store can be used, and that it is the one that has the images of the database.

        Raises:
            ValueError: if not, with what to do.
        """
        self.store.check()
        key = newest_key(self._database)
        if key is not None and self.store.get(key) is None:
            raise ValueError(
                f"the image store {self.store.url} does not have the images of the database: the file {key} is "
                "missing; check SEGSORT_IMAGES_URL, or copy the files of the former store there"
            )

    def put(self, image_id: str, content: bytes) -> str | None:
        """Write the content of an image, before the transaction that stores its row.

        Returns:
            The key of the file; None: the image has its content already.

        Raises:
            Problem: 503 if the store does not answer.
        """
        with self._database.connect() as connection:
            if has_content(connection, image_id):
                return None
        self.store.check_available()
        key = new_key(image_id)
        reserve(self._database, key, len(content))
        self.store.put(key, content)
        self._cache.add(image_id, content)
        return key

    def in_background(self, work: Callable[[], T]) -> Callable[[], T]:
        """Begin work that writes to the store; returns a function that waits for its result.

        Raises:
            Problem: 503 if it is known that the store does not answer.
        """
        self.store.check_available()
        return self._pool.submit(work).result

    @staticmethod
    def attach(connection: Connection, image_id: str, key: str | None) -> None:
        """Make a file that of an image whose row was just stored, unless the image has its content already.

        Raises:
            Problem: 503 if the image would have no content: it was deleted since `put`.
        """
        if key is not None and attach(connection, key, image_id):
            return
        if not has_content(connection, image_id):
            raise Problem(
                503, "The image was deleted while it was stored again.", received=image_id, fix="Try again.",
                headers={"Retry-After": "1"},
            )  # fmt: skip

    def get(self, image_id: str, key: str) -> bytes:
        """Read the file of an image.

        Raises:
            DamageError: 410 if it is missing.
            Problem: 503 if the store does not answer.
        """
        content = self._cache.get(image_id)
        if content is None:
            content = self.store.get(key)
            if content is None:
                raise missing_file(image_id, f"the image store has no file {key}")
            self._cache.add(image_id, content)
        return content

    def delete_unused(self) -> int:
        """Delete some of the files that no image has had for a while; a chore of housekeeping.

        Returns:
            How many were deleted.

        Raises:
            SQLAlchemyError: if the database does not answer.
        """
        if time.monotonic() < self._next:
            return 0
        deleted = list[str]()
        for key in claim_unused(self._database, self._grace, _DELETED_AT_ONCE):
            try:
                self.store.delete(key)
            except StoreUnavailable:  # the next rounds try again
                break
            deleted.append(key)
        if not deleted:
            self._next = time.monotonic() + _PAUSE
            return 0
        forget(self._database, deleted)
        self.deleted += len(deleted)
        return len(deleted)

    def close(self) -> None:
        """End the threads. Calls that hang are abandoned."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.store.close()
