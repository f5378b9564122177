"""Reasons that pass: whether an image is tried again, and how long its worker rests before."""

import errno
import time
from collections import Counter
from http import HTTPStatus

from sqlalchemy.exc import SQLAlchemyError

from service.problems import Problem

PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # after the first image in a row that could not be segmented, and so on
MOST_TRIES = 10  # of one image that no process could decode
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_ROOM = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INSUFFICIENT_STORAGE)
_AWAY = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)

ImageKey = tuple[str, int]


class Passing:
    """Counts what could not be done for reasons that pass. It runs on one event loop."""

    def __init__(self) -> None:
        self._tries: Counter[ImageKey] = Counter()
        self._row, self._until = 0, 0.0

    def why(self, error: Exception, image: ImageKey) -> str | None:
        """Why an image could not be segmented, in words, if the reason will pass; None: it will not.

        A full disk, and a full or silent database, are waited for without an end. An image that no process could
        decode is given up after some tries, because the image may be the reason.

        Args:
            error: the reason.
            image: the id of its job, and its position.
        """
        if isinstance(error, SQLAlchemyError):
            return "The database does not answer."
        if isinstance(error, OSError):
            return "The disk is full or cannot be written." if error.errno in _DISK else None
        if not isinstance(error, Problem):
            return None
        if error.status in _ROOM or isinstance(error.__cause__, SQLAlchemyError):
            return error.detail
        self._tries[image] += error.status in _AWAY
        return error.detail if error.status in _AWAY and self._tries[image] < MOST_TRIES else None

    def rest(self) -> None:
        """Let the workers rest, longer each time in a row."""
        self._until = time.monotonic() + PAUSES_S[min(self._row, len(PAUSES_S) - 1)]
        self._row += 1

    def ended(self, image: ImageKey) -> None:
        """Take account of an image that is done or has failed."""
        self._row = 0
        self._tries.pop(image, None)

    @property
    def left(self) -> float:
        """Seconds that the workers still rest."""
        return max(0.0, self._until - time.monotonic())
