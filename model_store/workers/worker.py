"""A worker as the process that started it sees it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from model_store.images import ImageFault
from model_store.workers import memory_files
from model_store.workers.channel import Channel, Message
from model_store.workers.limits import WorkLimits

Cause = Literal["time", "memory", "crash", "deadline", "stopped", "killed"]
_QUICK_S = 1.0  # seconds after which work has a low priority
_SLOW_NICE = 15
_STARTING_S = 60.0  # seconds that a start may take on a busy machine
_SETTLING_S = 0.5  # seconds between the end of its socket and that of a process
_ENDING_S = 10.0  # seconds that the system may take to end a killed process
_KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "VIRTUAL_ENV")
_ROOT = Path(__file__).parents[2]


class Ended(Exception):
    """Work that was ended before it was done.

    cause: time: it took too much computing; memory: it needed too much; crash: the decoder failed; deadline: the time
    of the request is over; stopped: the caller left; killed: the system or a person ended the process.
    detail: in words.
    """

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause, self.detail = cause, detail


class DataError(ValueError):
    """Labelled images that cannot be read."""


class Answer(NamedTuple):
    """The result of a piece of work: a JSON value, arrays, and the content of a file, if there is one."""

    value: Any
    arrays: list[np.ndarray]
    content: bytes | None


class Worker:
    """A process that works on untrusted files. One thread at a time may ask; another one may kill it.

    Attributes:
        memory: bytes of memory that it had after its last piece of work.
        is_slow: whether its priority was lowered, because a piece of work was slow.

    Raises:
        OSError: if it cannot be started.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "model_store.workers.child", str(theirs.fileno())],
                env=_environment(),
                stdin=subprocess.PIPE,  # the worker ends when this process closes it
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
                process_group=0,  # signals of a terminal reach this process alone
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel, self.memory, self._is_ready = Channel(ours), 0, False
        self._killed: Cause | None = None
        self.is_slow = False

    @property
    def pid(self) -> int:
        """Number of its process."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait until it has started.

        Raises:
            OSError: if it does not start.
        """
        if self._is_ready:
            return
        try:
            found = self._channel.receive(time.monotonic() + _STARTING_S)
        except (TimeoutError, ValueError, OSError):
            found = None
        if found is None:
            raise OSError(f"a worker that decodes images did not start: {self._end('crash')}")
        self._is_ready = True

    def ask(
        self, job: str, content: bytes, arguments: Mapping[str, Any], limits: WorkLimits, until: float | None = None
    ) -> Answer:
        """Let it work on the content of a file.

        Args:
            job: one of `model_store.workers.jobs.JOBS`.
            content: the file.
            arguments: of the job.
            limits: on computing and memory.
            until: deadline on the monotonic clock; None: there is none.

        Raises:
            ImageFault: if the file cannot be used.
            DataError: if labelled images cannot be read.
            Ended: if the work was ended. The worker must not be asked again.
        """
        message, received = {"job": job, "size": len(content), "arguments": dict(arguments), "limits": limits}, None
        file = memory_files.written([content])
        try:
            self._channel.send(message, [file])
            if not self._channel.wait(_QUICK_S):
                self._make_way()
            received = self._channel.receive(until)
        except TimeoutError:
            self.kill("deadline")
        except (OSError, ValueError):  # it has ended, or sent something else
            pass
        finally:
            os.close(file)
        if received is None:
            how = self._end("crash")
            raise Ended(self._killed or "crash", how)
        return self._read(*received)

    def kill(self, cause: Cause = "stopped") -> None:
        """Let the system end it, without waiting for that."""
        if self._process.poll() is None:
            self._killed = self._killed or cause
            self._process.kill()

    def close(self) -> None:
        """End it, and release what belongs to it."""
        self._end("stopped")
        self._channel.close()
        if self._process.stdin is not None:  # a flush of an empty buffer fails where the process has ended
            with suppress(OSError):
                self._process.stdin.close()

    def _make_way(self) -> None:
        """Lower the priority of work that is slow, so that it does not slow down other images. It stays low."""
        self.is_slow = True
        with suppress(OSError):  # it has ended
            os.setpriority(os.PRIO_PROCESS, self._process.pid, _SLOW_NICE)

    def _read(self, message: Message, files: list[int]) -> Answer:
        try:
            self.memory = int(message.get("memory", 0))
            if "fault" in message:
                fault, title, received, allowed, fix = message["fault"]
                raise ImageFault(fault, title, received=received, allowed=allowed, fix=fix)
            if "error" in message:
                raise DataError(str(message["error"]))
            if "ended" in message:
                raise Ended("memory", "the memory that is allowed was not enough")
            if "content" in message:
                return Answer(message["value"], [], memory_files.content_of(files[0], int(message["content"])))
            return Answer(message["value"], memory_files.arrays_of(files[0], message["arrays"]), None)
        except (ImageFault, DataError):
            raise
        except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
            raise Ended("crash", f"the answer cannot be read ({str(error)[:200]})") from error
        finally:
            for file in files:
                os.close(file)

    def _end(self, cause: Cause) -> str:
        """End it, unless it has ended, and wait for that; says how it ended."""
        try:
            code = self._process.wait(_SETTLING_S if cause == "crash" else 0)
        except subprocess.TimeoutExpired:
            self.kill(cause)
            try:
                code = self._process.wait(_ENDING_S)
            except subprocess.TimeoutExpired:
                return "it does not end"
        if code in (-signal.SIGPROF, -signal.SIGXCPU):
            self._killed = "time"
        elif code in (-signal.SIGKILL, -signal.SIGTERM):
            self._killed = self._killed or "killed"  # not by this process, for example because the system lacks memory
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _environment() -> dict[str, str]:
    """The environment of a worker: nothing secret, and one thread in libraries that would start many."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    paths = [str(_ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | single | {"PYTHONPATH": os.pathsep.join(paths), "MALLOC_ARENA_MAX": "2"}
