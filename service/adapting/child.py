"""The child process of a job: a command of `segsort`, started, followed and ended."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from service.settings import Settings

_TAIL = 20  # last lines of standard error that are kept for the problem
_ENDING = 10.0  # seconds that a killed process may take to end


class StageCount(NamedTuple):
    """A line of progress: the stage, and how many of its steps are done."""

    stage: str
    done: int
    total: int


class Child:
    """A process of a command of `segsort` that takes --json, --progress and --background.

    It ends when this process ends, however that happens.

    Args:
        settings: of the service; its environment variables and its settings file apply to the child too.
        command: the command and its arguments.
        folder: where it works.

    Raises:
        OSError: if it cannot be started.
    """

    def __init__(self, settings: Settings, command: Sequence[str], folder: Path) -> None:
        arguments = [sys.executable, "-m", "command_line.main", *command]
        arguments += ["--json", "--progress", "--background", str(settings.adapt_nice)]
        self._result = folder / "result.json"
        with self._result.open("wb") as sink:
            self._process = subprocess.Popen(
                arguments,
                env=_environment(settings, folder),
                stdin=subprocess.PIPE,  # the child ends when this process closes it
                stdout=sink,
                stderr=subprocess.PIPE,
                # Signals of a terminal reach this process alone. Another session would be another autogroup of Linux's
                # scheduler, where the child's low priority had no effect on this process.
                process_group=0,
                text=True,
                errors="replace",
            )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._tail: list[str] = []
        threading.Thread(target=self._read, name="segsort-job-lines", daemon=True).start()

    def steps(self, patience: float) -> Iterator[StageCount | None]:
        """Its progress, until it ends; None where there was no news for `patience` seconds."""
        while True:
            try:
                line = self._lines.get(timeout=patience)
            except queue.Empty:
                if self._process.poll() is not None:  # a process that it has started holds standard error open
                    return
                yield None
                continue
            if line is None:
                return
            step = _step(line)
            if step is None:
                self._tail = [*self._tail[1 - _TAIL :], line.rstrip()]
            else:
                yield step

    def result(self) -> dict[str, object]:
        """The JSON that it printed, after it has ended.

        Raises:
            ValueError: if it failed, with its message.
        """
        code = self._process.wait()
        if code != 0:
            lines = [line.removeprefix("segsort: ") for line in self._tail if line.strip()]
            raise ValueError(lines[-1] if lines else f"the process ended with {_ending(code)}")
        found: dict[str, object] = json.loads(self._result.read_bytes())
        return found

    def kill(self) -> None:
        """End it, and every process that it has started.

        Raises:
            TimeoutExpired: if the system takes very long to end it.
        """
        if self._process.poll() is None:  # else its number may belong to another process
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_ENDING)

    def close(self) -> None:
        """Release what belongs to it, after it has ended."""
        for pipe in (self._process.stdin, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        try:
            for line in self._process.stderr or ():
                self._lines.put(line)
        except ValueError:  # the pipe was closed meanwhile
            pass
        self._lines.put(None)


def _environment(settings: Settings, folder: Path) -> dict[str, str]:
    """The environment of this process, with the settings that flags may have changed."""
    changed = {
        "SEGSORT_DATA_DIR": str(settings.data_dir.absolute()),
        "SEGSORT_DATABASE_URL": settings.database,
        "SEGSORT_MAX_PIXELS": str(settings.max_pixels),
        "TMPDIR": str(folder),  # so that its temporary files go with the folder
    }
    return {**os.environ, **changed}


def _step(line: str) -> StageCount | None:
    try:
        found = json.loads(line)
        return StageCount(str(found["stage"]), int(found["done"]), int(found["total"]))
    except (ValueError, TypeError, KeyError):
        return None


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
