"""The folder of a job of images: what was sent, the answers, the result; and the lock of the process that has it."""

import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

from service.adapting.ownership import holding, is_held
from service.batching.answer_files import AnswerFiles
from service.records.jobs import Owner


class JobFolder:
    """Where the files of one job are.

    Args:
        parent: folder of all jobs.
        job_id: of the job.
    """

    def __init__(self, parent: Path, job_id: str) -> None:
        self.job_id, self.path = job_id, parent.absolute() / job_id
        self._lock_file = parent.absolute() / f"{job_id}.lock"
        self._held: ExitStack | None = None

    @property
    def owner(self) -> Owner:
        """How other processes find out whether this one is alive."""
        return Owner(socket.gethostname(), str(self._lock_file))

    @property
    def upload(self) -> Path:
        """The ZIP archive."""
        return self.path / "upload.zip"

    @property
    def parts(self) -> Path:
        """The folder of the files of a form."""
        return self.path / "parts"

    @property
    def options(self) -> Path:
        """The file of the options. A folder without it was not received completely."""
        return self.path / "options.json"

    @property
    def answers(self) -> AnswerFiles:
        """The answers."""
        return AnswerFiles(self.path / "answers")

    @property
    def results(self) -> Path:
        """The folder of the result, which holds one file."""
        return self.path / "result"

    def result(self) -> Path | None:
        """The file of the result; None: there is none."""
        return next(iter(sorted(self.results.glob("*"))), None) if self.results.is_dir() else None

    def take(self) -> bool:
        """Lock the job for this process until `leave`, or until the process ends; False: another one has it.

        Raises:
            OSError: if the folder of all jobs cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._held is not None or is_held(self._lock_file):
            return False
        held = ExitStack()
        try:
            held.enter_context(holding(self._lock_file))
        except OSError:
            if is_held(self._lock_file):
                return False
            raise
        self._held = held
        return True

    def leave(self) -> None:
        """Unlock the job. The file of the lock goes."""
        if self._held is not None:
            self._lock_file.unlink(missing_ok=True)
            self._held.close()
            self._held = None

    def has_uploads(self) -> bool:
        """Whether something is there that only work on the job needs."""
        return any(path.exists() for path in (self.upload, self.parts, self.answers.folder))

    def remove_uploads(self) -> None:
        """Remove what only work on the job needs: the images that were sent, and the answers."""
        self.upload.unlink(missing_ok=True)
        shutil.rmtree(self.parts, ignore_errors=True)
        shutil.rmtree(self.answers.folder, ignore_errors=True)

    def remove(self) -> None:
        """Remove all files of the job."""
        shutil.rmtree(self.path, ignore_errors=True)

    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())
