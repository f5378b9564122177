"""Many images: a bounded number is under way, results arrive in order, and an error of one image ends no other."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from time import monotonic
from typing import TextIO, TypeAlias

import numpy as np

from segsort_client.errors import InputError, SegsortError
from segsort_client.images import ImageInput
from segsort_client.results.answers import Segmentation

ProgressInput: TypeAlias = "bool | Callable[[int, int | None], object] | None"
_AHEAD = 2  # images under way or finished but not yet taken, for each worker
_EVERY = 0.1  # seconds between two updates of the line on the terminal
_OF_ALL = (401, 403)  # what is wrong with the key is wrong with every image


@dataclass(frozen=True)
class Result:
    """The result of one of many images.

    Attributes:
        index: its place among the images, from 0.
        image: the image as it was given.
        segmentation: the answer; None: there was an error.
        error: why there is no answer; None: there is one.
    """

    index: int
    image: ImageInput
    segmentation: Segmentation | None
    error: Exception | None = None

    def get(self) -> Segmentation:
        """The answer, or its error is raised."""
        if self.segmentation is None:
            raise self.error or ValueError("the result has neither an answer nor an error")
        return self.segmentation


class Stopped(Exception):
    """Nobody takes the results any more."""


def window(workers: int) -> int:
    """How many images may be under way, or finished but not yet taken.

    Raises:
        InputError: if the number of workers is not 1 or more.
    """
    if not isinstance(workers, int) or workers < 1:
        raise InputError("The number of workers is not valid.", received=workers, allowed="1 or more")
    return _AHEAD * workers


def failed(index: int, image: ImageInput, error: Exception) -> Result:
    """The result of an image that failed.

    Raises:
        SegsortError: if the key is not accepted, because all other images would fail too.
    """
    if isinstance(error, SegsortError) and error.status in _OF_ALL:
        raise error
    return Result(index, image, None, error)


class Source:
    """Images that are taken one by one. An error while they are read is raised after the images before it."""

    def __init__(self, images: Iterable[ImageInput] | AsyncIterable[ImageInput]) -> None:
        single = isinstance(images, (str, bytes, bytearray, memoryview)) or callable(getattr(images, "read", None))
        if isinstance(images, np.ndarray):  # its rows would be sent as images
            single = images.ndim < 3 or (images.ndim == 3 and images.shape[2] in (3, 4))
        if single or not isinstance(images, (Iterable, AsyncIterable)):
            raise InputError(
                "These are not several images.", received=type(images).__name__, allowed="a list or another iterable",
                fix="For one image, use `segment`. For a folder, give its files: sorted(folder.iterdir()).",
            )  # fmt: skip
        self.total = len(images) if isinstance(images, Sized) else None
        self.taken, self.ended = 0, False
        self.error: BaseException | None = None
        self._images = images if isinstance(images, AsyncIterable) else iter(images)

    def next(self) -> tuple[int, ImageInput] | None:
        """The next image and its place; None: there is none."""
        if self.ended or not isinstance(self._images, Iterator):
            return None
        try:
            return self._numbered(next(self._images))
        except StopIteration:
            self.ended = True
        except Exception as error:
            self.ended, self.error = True, error
        return None

    async def anext(self) -> tuple[int, ImageInput] | None:
        """The next image and its place, also of an asynchronous iterable; None: there is none."""
        if isinstance(self._images, Iterator):
            return self.next()
        if not isinstance(self._images, AsyncIterator):
            self._images = aiter(self._images)
        if self.ended:
            return None
        try:
            return self._numbered(await anext(self._images))
        except StopAsyncIteration:
            self.ended = True
        except Exception as error:
            self.ended, self.error = True, error
        return None

    def check(self) -> None:
        """Raise the error that ended the images, if there was one."""
        if self.error is not None:
            raise self.error

    def _numbered(self, image: ImageInput) -> tuple[int, ImageInput]:
        self.taken += 1
        return self.taken - 1, image


class Progress:
    """Reports how many images are done: to a function, or as a line on a terminal.

    Args:
        wanted: True: a line on standard error, which moves if that is a terminal; a function of the number done and the
            total; None or False: nothing.
        total: number of images; None: not known.
        stream: where the line is written.
    """

    def __init__(self, wanted: ProgressInput, total: int | None, stream: TextIO | None = None) -> None:
        self._report = wanted if callable(wanted) else None
        self._stream = (stream or sys.stderr) if wanted is True else None
        self._moves = self._stream is not None and self._stream.isatty()
        self._total, self._done, self._errors = total, 0, 0
        self._began = monotonic()
        self._shown = 0.0

    def add(self, result: Result) -> None:
        """One more image is done."""
        self._done += 1
        self._errors += result.error is not None
        if self._report is not None:
            self._report(self._done, self._total)
        if self._stream is not None and self._moves and monotonic() - self._shown >= _EVERY:
            self._show(self._stream)

    def end(self) -> None:
        """No more images come."""
        if self._stream is not None:
            self._show(self._stream)
            self._stream.write("\n")

    def _show(self, stream: TextIO) -> None:
        self._shown = monotonic()
        rate = self._done / max(self._shown - self._began, 1e-9)
        of = "" if self._total is None else f" of {self._total}"
        errors = f", {self._errors} failed" if self._errors else ""
        line = f"{self._done}{of} images, {rate:.1f} a second{errors}"
        stream.write(f"\r{line}\x1b[K" if self._moves else line)
        stream.flush()
