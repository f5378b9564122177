"""A worker: a process that does one piece of work after another, until the process that started it closes the socket.

    python -m model_store.workers.child DESCRIPTOR_OF_THE_SOCKET

The system ends it when a piece of work takes more computing time than allowed (SIGPROF), and when its parent ends
(SIGIO). It imports only what decoding needs.
"""

import fcntl
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

import numpy as np

from model_store.images import ImageFault
from model_store.workers import memory_files
from model_store.workers.channel import Channel, Message
from model_store.workers.jobs import JOBS, LABELLED, Done, pixels_to_decode
from model_store.workers.limits import WorkLimits

_LIFELINE = 0  # descriptor of a pipe whose other end the parent holds
_PAGE = resource.getpagesize()


def main() -> None:
    """Work until the parent closes the socket."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no file of the memory where a decoder crashes
    _end_with_parent()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    channel.send({"ready": os.getpid()})
    while (received := channel.receive()) is not None:
        message, files = received
        answer, done = _answered(message, files)
        _allow(None, None)
        _send(channel, answer, done)


def _answered(message: Message, files: list[int]) -> tuple[Message, Done]:
    """What is answered to a message, and the result; an empty one if there is none."""
    limits, arguments = WorkLimits(*message["limits"]), dict(message["arguments"])
    try:
        _allow(limits.seconds_for(0), limits.bytes_for(0))
        if message["job"] in LABELLED:
            return _labelled(message["job"], arguments, limits)
        content = memory_files.content_of(files[0], message["size"])
        pixels = pixels_to_decode(message["job"], content, arguments)
        _allow(limits.seconds_for(pixels), limits.bytes_for(pixels))
        done = JOBS[message["job"]](content, **arguments)
        return {"value": done.value}, done
    except ImageFault as fault:
        if "out of memory" in fault.received.lower():  # as Pillow's decoders say it
            return {"ended": "memory"}, Done(None)
        return {"fault": [fault.fault, fault.title, fault.received, fault.allowed, fault.fix]}, Done(None)
    except MemoryError:
        return {"ended": "memory"}, Done(None)
    finally:
        for file in files:
            os.close(file)


def _labelled(job: str, arguments: dict[str, Any], limits: WorkLimits) -> tuple[Message, Done]:
    """Work on labelled images in a folder, which may take as much as the largest image."""
    from model_store.workers.labelled_jobs import JOBS as READING  # readers of formats take time to import

    _allow(limits.seconds_for(limits.pixels), limits.bytes_for(limits.pixels))
    try:
        done = READING[job](**arguments)
    except (ValueError, OSError, RecursionError) as error:  # the last for documents that are nested very deeply
        return {"error": str(error)[:2000]}, Done(None)
    return {"value": done.value}, done


def _send(channel: Channel, answer: Message, done: Done) -> None:
    parts: list[Any] = [np.ascontiguousarray(array) for array in done.arrays]
    answer["arrays"] = [(str(array.dtype), array.shape) for array in parts]
    answer["memory"] = _memory()[1]
    if done.content is not None:
        parts, answer["content"] = [done.content], len(done.content)
    file = memory_files.written([part if isinstance(part, bytes) else part.reshape(-1) for part in parts])
    try:
        channel.send(answer, [file])
    finally:
        os.close(file)


def _allow(seconds: float | None, more_bytes: int | None) -> None:
    """Let the work from now on take so many seconds of computing and so much more memory; None: any."""
    signal.setitimer(signal.ITIMER_PROF, seconds or 0)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = most if more_bytes is None else _memory()[0] + more_bytes
    with suppress(ValueError, OSError):  # a system that cannot limit it, or a hard limit below
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def _memory() -> tuple[int, int]:
    """Bytes of addresses and of memory that this process has; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            addresses, resident, *_ = map(int, file.read().split())
        return addresses * _PAGE, resident * _PAGE
    except OSError:
        return 0, 0


def _end_with_parent() -> None:
    """Let the system end this process when its parent has ended, also in the middle of work, however that happens."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent decides
    fcntl.fcntl(_LIFELINE, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(_LIFELINE, fcntl.F_GETFL)
    fcntl.fcntl(_LIFELINE, fcntl.F_SETFL, flags | getattr(os, "O_ASYNC", 0))


if __name__ == "__main__":
    main()
