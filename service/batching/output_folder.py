"""The output folder of a command: its own files are written and removed, those of other programs stay."""

import shutil
from pathlib import Path

from service.batching.answer_files import write_whole

STATE = ".segsort"  # folder in the output folder


class OutputFolder:
    """A folder into which a command writes files, each whole or not at all.

    Args:
        folder: the output folder.

    Attributes:
        state: folder in it that is the command's own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self.state = folder, folder / STATE
        self._parts, self._lists = self.state / "parts", self.state / "lists"

    def make(self) -> None:
        """Make the folder.

        Raises:
            OSError: if it cannot be made.
        """
        self.state.mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:
        """Remove files whose writer was stopped. Only one command at a time may write into the folder."""
        shutil.rmtree(self._parts, ignore_errors=True)
        self._parts.mkdir(exist_ok=True)
        self._lists.mkdir(exist_ok=True)

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
        write_whole(self._lists / name, content)
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
