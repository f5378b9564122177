"""Decoding of image files that callers send: `model_store.images`, in processes that can be killed, with problems.

Files whose decoding takes a time that their pixels bound are decoded in this process, see `images.is_plain`. All others
are decoded in a worker, because a decoder can take any time on a file that was made for it.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from model_store import images
from model_store.images import ImageFault, Mask
from model_store.workers import Answer, Ended, WorkerPool
from service.problems import CallerLeft, Problem

_STATUS = {
    "empty": 400, "too large": 413, "unsupported": 415, "damaged": 422, "no such page": 422, "too complex": 422,
}  # fmt: skip
_TIFFS = (b"II", b"MM")
_pools: list[WorkerPool] = []  # the last one is used; none: this process decodes, as commands do


def decode(content: bytes, max_pixels: int) -> np.ndarray:
    """Decode an image: [H, W, 3] uint8 RGB, see `model_store.images.decode`.

    Raises:
        Problem: 400 if empty, 413 if too large, 415 if not an image of a supported format, 422 if damaged, or if
            decoding took too much computing or memory; 503 if the system gives no process for it; 504 if the deadline
            of the request was over.
    """
    return _decoded("decode", lambda: images.decode(content, max_pixels), content, max_pixels=max_pixels).pixels


def decode_reduced(content: bytes, max_pixels: int, working_size: int, max_full: int | None = None) -> images.Decoded:
    """Decode an image for the network, see `model_store.images.decode_reduced`.

    Raises:
        Problem: as `decode`.
    """
    return _decoded(
        "decode_reduced", lambda: images.decode_reduced(content, max_pixels, working_size, max_full), content,
        max_pixels=max_pixels, working_size=working_size, max_full=max_full,
    )  # fmt: skip


def decode_within(content: bytes, max_pixels: int, max_full: int) -> images.Decoded:
    """Decode an image in full, or a large JPEG at a fraction, see `model_store.images.decode_within`.

    Raises:
        Problem: as `decode`.
    """
    return _decoded(
        "decode_within", lambda: images.decode_within(content, max_pixels, max_full), content,
        max_pixels=max_pixels, max_full=max_full,
    )  # fmt: skip


def decode_for_view(content: bytes, longest: int, max_pixels: int, max_full: int) -> images.Decoded:
    """Decode an image for a view of a limited size, see `model_store.images.decode_for_view`.

    Raises:
        Problem: as `decode`.
    """
    return _decoded(
        "decode_for_view", lambda: images.decode_for_view(content, longest, max_pixels, max_full), content,
        longest=longest, max_pixels=max_pixels, max_full=max_full,
    )  # fmt: skip


def pixels_of(
    content: bytes,
    max_pixels: int,
    max_ratio: float | None = None,
    working_size: int | None = None,
    max_full: int | None = None,
) -> int:
    """Count the pixels of an image by its header, see `model_store.images.pixels_of`.

    Raises:
        Problem: as `decode`; 413 also if the compression ratio is too high.
    """
    arguments = {
        "max_pixels": max_pixels, "max_ratio": max_ratio, "working_size": working_size, "max_full": max_full,
    }  # fmt: skip
    with _problems():
        found = _elsewhere("pixels_of", content, arguments)
        return images.pixels_of(content, **arguments) if found is None else int(found.value)  # type: ignore[arg-type]


def take_page(content: bytes, number: int = 0) -> images.Page:
    """A page of a TIFF as a file of its own, see `model_store.images.take_page`.

    Raises:
        Problem: 422 if there is no such page or it is damaged; 415 if it is compressed in a way that cannot be copied.
    """
    with _problems():
        found = _elsewhere("take_page", content, {"number": number}) if content[:2] in _TIFFS else None
        if found is None:
            return images.take_page(content, number)
        number, pages = found.value
        return images.Page(content if found.content is None else found.content, int(number), int(pages))


def decode_mask(content: bytes, max_pixels: int) -> Mask:
    """Decode a mask file, see `model_store.images.decode_mask`.

    Raises:
        Problem: 400 if empty, 413 if too large, 415 if it has neither indices nor colours, 422 if damaged, or if
            decoding took too much computing or memory.
    """
    with _problems():
        found = _elsewhere("decode_mask", content, {"max_pixels": max_pixels})
        if found is None:
            return images.decode_mask(content, max_pixels)
        arrays = iter(found.arrays)
        colours = next(arrays)
        indices, transparent = (next(arrays) if has else None for has in found.value["has"])
        return Mask(colours, indices, bool(found.value["indexed"]), transparent, bool(found.value["lossy"]))


@contextmanager
def decoding_in(pool: WorkerPool) -> Iterator[None]:
    """Decode in the workers of a pool while the block runs."""
    _pools.append(pool)
    try:
        yield
    finally:
        _pools.remove(pool)


def is_quick(content: bytes) -> bool:
    """Whether this process decodes a file, in a time that its pixels bound."""
    return not _pools or images.is_plain(content)


class Ahead:
    """Results of workers that are kept, so that the same is not decoded twice. Calls from several threads are safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[tuple[bytes, str, dict[str, Any], Answer]] = []
        self._is_closed = False

    def find(self, content: bytes, job: str, arguments: dict[str, Any]) -> Answer | None:
        """What was kept; None if nothing was."""
        with self._lock:
            for kept, kind, given, answer in self._kept:
                if kept is content and kind == job and given == arguments:
                    return answer
            return None

    def keep(self, content: bytes, job: str, arguments: dict[str, Any], answer: Answer) -> None:
        """Keep a result."""
        with self._lock:
            if not self._is_closed:
                self._kept.append((content, job, arguments, answer))

    def close(self) -> None:
        """Forget all results. A thread that waits for work still refers to the last context that it ran in."""
        with self._lock:
            self._is_closed = True
            self._kept.clear()


_ahead: ContextVar[Ahead | None] = ContextVar("segsort_decoded_ahead", default=None)


@contextmanager
def kept_ahead() -> Iterator[None]:
    """Keep the results of workers while the block runs: what is decoded in it is decoded once."""
    ahead = Ahead()
    token = _ahead.set(ahead)
    try:
        yield
    finally:
        _ahead.reset(token)
        ahead.close()


def _decoded(job: str, here: Callable[[], images.Decoded], content: bytes, **arguments: Any) -> images.Decoded:
    with _problems():
        found = _elsewhere(job, content, arguments)
        if found is None:
            return here()
        height, width = found.value["size"]
        return images.Decoded(found.arrays[0], (height, width), found.value["conversion"])


def _elsewhere(job: str, content: bytes, arguments: dict[str, Any]) -> Answer | None:
    """What a worker makes of a file; None if this process is to do it."""
    ahead = _ahead.get()
    if ahead is not None and (kept := ahead.find(content, job, arguments)) is not None:
        return kept
    if not content or is_quick(content):
        return None
    try:
        found = _pools[-1].run(job, content, **arguments)
    except OSError as error:  # the system gives no process, file or memory
        raise _without_worker(str(error)) from error
    if ahead is not None:
        ahead.keep(content, job, arguments, found)
    return found


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except ImageFault as fault:
        raise Problem(
            _STATUS[fault.fault], fault.title, received=fault.received, allowed=fault.allowed, fix=fault.fix
        ) from fault
    except Ended as ended:
        raise _ended(ended) from None  # a deadline is no failure of the service, so it is not logged as one


def _ended(ended: Ended) -> Exception:
    """The problem of an image whose decoding was ended."""
    limits, pixels = (_pools[-1].limits, _pools[-1].limits.pixels) if _pools else (None, 0)
    fix = "Open the image in another program, and save it as PNG or as JPEG."
    if ended.cause == "stopped":
        return CallerLeft()
    if ended.cause == "deadline":
        return Problem(
            504, "The image was not decoded in time.", received=ended.detail,
            allowed="decoding before the deadline of the request", fix="Send it again when the service is less busy.",
        )  # fmt: skip
    if ended.cause == "killed":
        return _without_worker(f"{ended.detail}, twice")
    if ended.cause == "time" and limits is not None:
        return Problem(
            422, "Decoding the image takes too much computing, and was ended.", received=ended.detail,
            allowed=f"{limits.seconds_for(0):g} s, and {limits.seconds:g} s more for {pixels} pixels, in proportion",
            fix=f"{fix} The operator can raise SEGSORT_DECODE_S.",
        )  # fmt: skip
    if ended.cause == "memory" and limits is not None:
        return Problem(
            422, "Decoding the image takes too much memory, and was ended.", received=ended.detail,
            allowed=f"{limits.bytes_for(0) // 1_000_000} MB, and {limits.megabytes:g} MB more for {pixels} pixels, "
            "in proportion", fix=f"{fix} The operator can raise SEGSORT_DECODE_MB.",
        )  # fmt: skip
    return Problem(
        422, "The decoder failed on the image.", received=ended.detail, allowed="an image that other programs open",
        fix=fix,
    )  # fmt: skip


def _without_worker(received: str) -> Problem:
    return Problem(
        503, "No process could decode the image.", received=received[:200], headers={"Retry-After": "2"},
        fix="Send it again. The operator should check the memory, the processes and the open files of the machine.",
    )  # fmt: skip
