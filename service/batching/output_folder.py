"""The output folder of a command: its own files are written and removed, those of other programs stay."""

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from service.batching.answer_files import write_whole

STATE = ".segsort"  # folder in the output folder


class _Mark(NamedTuple):
    """What is noted about the files of a name.

    answer: id of the answer that they show; None: they are being written; suffixes: of all its files.
    """

    answer: str | None
    suffixes: list[str]


class OutputFolder:
    """A folder into which a command writes files, each whole or not at all.

    Args:
        folder: the output folder.

    Attributes:
        state: folder in it that is the command's own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self.state = folder, folder / STATE
        self._parts, self._lists, self._marks = (self.state / name for name in ("parts", "lists", "written"))

    def make(self) -> None:
        """Make the folder.

        Raises:
            OSError: if it cannot be made.
        """
        self.state.mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:
        """Remove files whose writer was stopped. Only one command at a time may write into the folder."""
        shutil.rmtree(self._parts, ignore_errors=True)
        for folder in (self._parts, self._lists, self._marks):
            folder.mkdir(exist_ok=True)

    def has_files(self, name: str, answer: str, suffixes: Collection[str]) -> bool:
        """Whether files of a name are there, and were written from an answer.

        Args:
            name: of an image.
            answer: id of its answer.
            suffixes: what follows the name.
        """
        mark = self._mark(name)
        is_whole = mark.answer == answer and set(suffixes) <= set(mark.suffixes)
        return is_whole and all((self._folder / f"{name}{suffix}").is_file() for suffix in suffixes)

    def write_files(self, name: str, answer: str, files: Mapping[str, bytes]) -> None:
        """Write the files of an image. Files of this name that show another answer are removed.

        Args:
            name: of the image.
            answer: id of its answer.
            files: by what follows the name.

        Raises:
            OSError: if one cannot be written.
        """
        earlier = self._mark(name)
        suffixes = sorted({*earlier.suffixes, *files})
        self._set_mark(name, _Mark(None, suffixes))
        for suffix in set(suffixes) - set(files) if earlier.answer != answer else ():
            (self._folder / f"{name}{suffix}").unlink(missing_ok=True)
        for suffix, content in files.items():
            self.write(f"{name}{suffix}", content)
        self._set_mark(name, _Mark(answer, suffixes if earlier.answer == answer else sorted(files)))

    def write(self, name: str, content: bytes) -> None:
        """Write a file.

        Raises:
            OSError: if it cannot be written.
        """
        write_whole(self._folder / name, content, self._parts)

    def write_list(self, name: str, content: bytes) -> Path:
        """Write a file that `remove_list` removes again. Returns the file.

        Raises:
            OSError: if it cannot be written.
        """
        write_whole(self._lists / name, content, self._parts)
        self.write(name, content)
        return self._folder / name

    def remove_list(self, name: str) -> None:
        """Remove a file, unless another program wrote or changed it.

        Raises:
            OSError: if it cannot be read or removed.
        """
        file, own = self._folder / name, self._lists / name
        if own.is_file() and file.is_file() and own.read_bytes() == file.read_bytes():
            file.unlink()
        own.unlink(missing_ok=True)

    def _mark(self, name: str) -> _Mark:
        try:
            return _Mark(**json.loads(self._mark_file(name).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):  # none, or a damaged one
            return _Mark(None, [])

    def _set_mark(self, name: str, mark: _Mark) -> None:
        write_whole(self._mark_file(name), json.dumps(mark._asdict()).encode(), self._parts)

    def _mark_file(self, name: str) -> Path:
        return self._marks / f"{name}.mark"
