"""Segmenting one image of a folder, and making its files: in this process, or in workers on other machines."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from service.answering.engine import Engine, Recording
from service.answering.limits import SegmentRequest
from service.answering.stages import StageFailure
from service.batching.answer_files import Body, packed
from service.batching.image_files import AnswerOutputs
from service.images.decode import take_page
from service.problems import Problem
from service.records.database import Records
from service.settings import Settings

_SECRET = {"api_keys", "api_keys_file", "database_url", "images_url"}  # settings that workers need not know


class ImageTask(NamedTuple):
    """An image to segment.

    place: among the images of the command; file: of the image; key: of its answer; body: its answer, where an earlier
    run has it; with_files: whether its files are made.
    """

    place: int
    file: Path
    key: str
    body: Body | None
    with_files: bool


class ReadTask(NamedTuple):
    """An image that was read. content: of its file; failed: why it cannot be read."""

    task: ImageTask
    content: bytes
    failed: str | None = None


class MadeImage(NamedTuple):
    """What became of an image.

    segments: how many; answer: as it is stored; None: it was stored before; files: by what follows the name of the
    image; failed: why it failed; None: it did not.
    """

    segments: int = 0
    answer: bytes | None = None
    files: Mapping[str, bytes] = {}
    failed: str | None = None


class ImageWork:
    """Segments images.

    Args:
        engine: segments them.
        outputs: makes their files; None: answers alone are wanted.
    """

    def __init__(self, engine: Engine, outputs: AnswerOutputs | None) -> None:
        self._engine, self._outputs = engine, outputs

    def __call__(self, read: ReadTask) -> MadeImage:
        """Segment an image, unless it has an answer, and make its files."""
        if read.failed is not None:
            return MadeImage(failed=read.failed)
        task = read.task
        try:
            body = task.body or self._segmented(read.content, task.key)
            made = self._outputs.files(body, read.content) if task.with_files and self._outputs is not None else {}
        except (Problem, StageFailure) as error:
            return MadeImage(failed=str(error))
        return MadeImage(len(body["segments"]), packed(body) if task.body is None else None, made)

    def _segmented(self, content: bytes, key: str) -> Body:
        page = take_page(content, 0)
        request = SegmentRequest(exemplars=self._engine.settings.max_exemplars)
        recording = Recording(answer_id(self._engine, key), kept=False, marks_follow=False)
        answer = self._engine.segment(page.content, request, page=(page.number, page.pages), recording=recording)
        return answer.body


def answer_id(engine: Engine, key: str) -> str:
    """The id of an answer: the same in every run with the same release and the same image."""
    return hashlib.sha256(f"{engine.served.live.digest} {key}".encode()).hexdigest()[:32]


def file_key(digest: str, number: int) -> str:
    """The key of an answer. digest: SHA-256 of the image file; number: among equal files, from 1."""
    return f"{digest}-{number}"


def digest_of(key: str) -> str:
    """SHA-256 of the image file of a key."""
    return key.partition("-")[0]


def read_task(task: ImageTask) -> ReadTask:
    """Read the file of an image. One that was changed since its key was computed has failed: its answer is another."""
    try:
        content = task.file.read_bytes()
    except OSError as error:
        return ReadTask(task, b"", str(error))
    if hashlib.sha256(content).hexdigest() != digest_of(task.key):
        return ReadTask(task, b"", "the file was changed while the command ran; the same command goes on")
    return ReadTask(task, content)


def name_of_task(task: ImageTask) -> str:
    """The file of an image, for a message."""
    return str(task.file)


def lost_image(reason: str) -> MadeImage:
    """What became of an image that ended the processes which worked on it."""
    return MadeImage(failed=reason)


class WorkerSettings(NamedTuple):
    """What a worker needs to open the engine of the command. values: of `Settings`; sheets: see `AnswerOutputs`."""

    values: dict[str, Any]
    with_outputs: bool
    sheets: bool

    @classmethod
    def of(cls, engine: Engine, outputs: AnswerOutputs | None) -> "WorkerSettings":
        """The settings of a command, without secrets, for workers of one thread.

        They name the precision in which the network of the command runs: a worker on another processor might choose
        another one, and its answers would differ.
        """
        served = engine.served
        own = {
            "release": str(served.live.release.path.absolute()), "threads": 1, "at_once": None, "batch": None,
            "precision": served.predictor.embedder.precision,
        }  # fmt: skip
        values = engine.settings.model_dump(exclude=_SECRET) | own
        return cls(values, outputs is not None, outputs is not None and outputs.sheets)


def open_worker(worker: WorkerSettings, digest: str) -> ImageWork:
    """Open the engine of a worker.

    Raises:
        ValueError: if the release cannot be read here, or is another one.
    """
    engine = Engine(Settings(**worker.values), Records("sqlite://"))
    if engine.served.live.digest != digest:
        raise ValueError(
            f"a worker finds another release in {worker.values['release']} than the command; put the same release on "
            "every node, or in a folder that all share"
        )
    return ImageWork(engine, AnswerOutputs(engine, worker.sheets) if worker.with_outputs else None)
