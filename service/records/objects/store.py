"""An object store outside the database, by fsspec URL: whole files by key, with a bounded wait for each.

A store that does not answer fails the requests that need it, with 503, and nothing else: calls have a time limit, and
after a failure further calls are refused at once until one of them, after a pause, succeeds.
"""

import asyncio
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any

from service.records.objects.availability import Availability, StoreUnavailable
from service.records.objects.opening import SYNCHRONOUS, Operation, checked, open_files

_OPENING = 30.0  # longest seconds in which the library of a store prepares its client
_THREADS = 16  # of stores whose library is not asynchronous
_SECRET_NAMES = re.compile("key|secret|token|password|credential", re.IGNORECASE)

_log = logging.getLogger("segsort.records")


class ObjectStore:
    """Files in an object store, or in a folder that several machines share. Calls from several threads are safe.

    Args:
        url: fsspec URL such as s3://bucket/prefix or file:///srv/images. Credentials come from where the library of the
            store looks for them, for S3 the variables and files of AWS.
        timeout: longest time of a call in seconds, with its retries.

    Attributes:
        url: as given.
        observe: called with the operation, its seconds, and whether it succeeded.

    Raises:
        ValueError: if the URL cannot be used.
    """

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self.url, self._timeout = checked(url), timeout
        self.observe: Callable[[Operation, float, bool], None] = lambda operation, seconds, succeeded: None
        self._files: Any = None  # the file system of fsspec
        self._is_prepared = False
        self._root = ""
        self._threads: ThreadPoolExecutor | None = None
        self._state = Availability(timeout)
        self._lock = threading.Lock()

    @property
    def is_available(self) -> bool:
        """Whether the last call succeeded, or there was none."""
        return self._state.failures == 0

    def check_available(self) -> None:
        """Refuse what needs the store while it does not answer.

        Raises:
            StoreUnavailable: if calls are refused now.
        """
        self._state.check()

    def put(self, key: str, content: bytes) -> None:
        """Write a file whole or not at all. Writing it again changes nothing.

        Raises:
            StoreUnavailable: if it was not confirmed in time; it may be there nevertheless.
        """
        self._call("put", key, content)

    def get(self, key: str) -> bytes | None:
        """Read a file; None if there is none.

        Raises:
            StoreUnavailable: if it was not read in time.
        """
        try:
            return bytes(self._call("get", key))
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        """Delete a file. One that is not there is not an error.

        Raises:
            StoreUnavailable: if it was not confirmed in time.
        """
        with suppress(FileNotFoundError):
            self._call("delete", key)

    def check(self) -> None:
        """Write, read and delete a small file.

        Raises:
            ValueError: if that fails, with what to do.
        """
        key, content = f"check-{secrets.token_hex(8)}", secrets.token_bytes(32)
        with self._lock:
            self._library()
        try:
            self._run("put", key, content)
            if self._run("get", key) != content:
                raise ValueError("what was written is not what was read")
            self._run("delete", key)
        except Exception as error:  # each library has errors of its own
            raise ValueError(
                f"the image store {self.url} cannot be used: {self._safe(error)}; check SEGSORT_IMAGES_URL, that the "
                "bucket or folder exists, that its credentials allow to write, read and delete, and that this machine "
                "reaches it (for S3 beside AWS: AWS_ENDPOINT_URL)"
            ) from None

    def close(self) -> None:
        """End the threads of calls. Those that hang are abandoned."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _call(self, operation: Operation, key: str, *content: bytes) -> Any:
        begun = self._state.begin()
        succeeded = False
        try:
            result = self._run(operation, key, *content)
            succeeded = True
            return result
        except FileNotFoundError as error:
            if "bucket" in str(error).lower():
                raise self._failed(operation, error) from None
            succeeded = True  # the store answered
            raise
        except Exception as error:  # each library has errors of its own
            raise self._failed(operation, error) from None
        finally:
            if succeeded and self._state.succeed():
                _log.info("the image store %s answers again", self.url)
            self._state.end(begun)
            self.observe(operation, time.monotonic() - begun.at, succeeded)

    def _failed(self, operation: Operation, error: Exception) -> StoreUnavailable:
        if isinstance(error, (TimeoutError, FutureTimeout)):
            why = f"no answer within {self._timeout:g} s"
        else:
            why = "access is denied" if isinstance(error, PermissionError) else "the call failed"
        is_first, pause = self._state.fail()
        if is_first:
            _log.error("the image store %s failed to %s: %s; %s", self.url, operation, why, self._safe(error))
        return StoreUnavailable(why, pause)

    def _run(self, operation: Operation, key: str, *content: bytes) -> Any:
        files = self._opened()
        path = f"{self._root}/{key}"
        future: Future[Any]
        if files.async_impl:
            call = {"put": "_pipe_file", "get": "_cat_file", "delete": "_rm_file"}[operation]
            waiting = asyncio.wait_for(getattr(files, call)(path, *content), self._timeout)
            future = asyncio.run_coroutine_threadsafe(waiting, files.loop)
        else:
            threads = self._threads
            if threads is None:
                raise RuntimeError("a store without asynchronous calls was opened without threads")
            future = threads.submit(SYNCHRONOUS[operation], files, path, *content)
        try:
            return future.result(self._timeout + 1)
        except FutureTimeout:
            future.cancel()
            raise

    def _opened(self) -> Any:
        """The file system, whose client is prepared."""
        with self._lock:
            files = self._library()
            if not self._is_prepared and files.async_impl and hasattr(files, "set_session"):
                # The client of S3 reads its description of the service: a second of work on a busy machine,
                # which must not count as time of the first call.
                opening = asyncio.wait_for(files.set_session(), _OPENING)
                asyncio.run_coroutine_threadsafe(opening, files.loop).result(_OPENING + 1)
            self._is_prepared = True
        return files

    def _library(self) -> Any:
        """The file system, opened; the lock is held."""
        if self._files is None:
            files, self._root = open_files(self.url, self._timeout)
            if not files.async_impl:
                self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="segsort-store")
            self._files = files
        return self._files

    def _safe(self, error: Exception) -> str:
        """An error in words, without credentials."""
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        options = getattr(self._files, "storage_options", {})
        values = [os.environ[name] for name in os.environ if _SECRET_NAMES.search(name)]
        values += [str(value) for name, value in options.items() if _SECRET_NAMES.search(str(name))]
        for value in values:
            if len(value) >= 4:
                text = text.replace(value, "***")
        return text[:500]
