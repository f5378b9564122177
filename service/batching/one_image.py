"""One image of a job: read, segmented once, and stored, also if the process ends at any moment of it."""

import uuid
from typing import Any

from model_store.predictor import Predictor
from service.answering.answers import recorded_answer_json
from service.answering.engine import Engine, Recording
from service.answering.limits import AnswerOptions, SegmentRequest
from service.answering.served import ServedRelease
from service.batching.answer_files import AnswerFiles
from service.batching.options import JobOptions
from service.batching.results import key_of
from service.batching.sources import Source
from service.images.decode import is_quick, take_page
from service.problems import Problem


class OneImage:
    """The image at a position of a job. Each step is called in a thread, in their order.

    Args:
        engine: segments it.
        served: the release that answers.
        job_id, author: of the job.
        options: of the job.
        source: holds the image.
        answers: where the answer is stored.
        position: in the job.
    """

    def __init__(
        self,
        engine: Engine,
        served: ServedRelease,
        job_id: str,
        author: str,
        options: JobOptions,
        source: Source,
        answers: AnswerFiles,
        position: int,
    ) -> None:
        self._engine, self._served, self._author, self._options = engine, served, author, options
        self._source, self._answers, self._position = source, answers, position
        self.segmentation_id = answer_id(job_id, position)
        self._request = SegmentRequest(options.segments, options.k, exemplars=engine.settings.max_exemplars)
        self._content, self._page = b"", (0, 1)

    def is_answered(self) -> bool:
        """Whether an earlier attempt recorded the answer; it is stored then."""
        if not self._options.keep:
            return self._answers.has(key_of(self._position))
        answered = self._engine.records.answer(self.segmentation_id)
        view = None if answered is None else self._engine.catalogue.view_of(answered)
        if answered is None or view is None:
            return False
        if not self._answers.has(key_of(self._position)):
            options = AnswerOptions(self._engine.settings.max_exemplars)
            self._put(recorded_answer_json(view, answered, options, kept=False))
        return True

    def read(self) -> int:
        """Read the file, and decode it if that takes a worker. Returns its pixels.

        Raises:
            Problem: if it is not an image that the service accepts.
        """
        page = take_page(self._source.read(self._position), 0)
        self._content, self._page = page.content, (page.number, page.pages)
        pixels = self._engine.measure(self._content, self._request)
        if not is_quick(self._content):
            self._engine.decode(self._content, self._served)
        return pixels

    def segment(self) -> None:
        """Segment the image, and store the answer.

        Raises:
            Problem: if the image is not acceptable, or the database refuses the answer.
        """
        recording = Recording(self.segmentation_id, self._options.keep, marks_follow=False)
        answer = self._engine.segment(
            self._content, self._request, self._author, None, self._page, recording, self._served
        )
        self._put(answer.body)

    def _put(self, body: dict[str, Any]) -> None:
        self._answers.put(key_of(self._position), body)


def answer_id(job_id: str, position: int) -> str:
    """The id of the answer to an image of a job. An image is recorded once, because an id is."""
    return uuid.uuid5(uuid.UUID(job_id), str(position)).hex


def release_of_job(engine: Engine, name: str, digest: str | None) -> ServedRelease:
    """The release that a job began with, with its network.

    Raises:
        Problem: 410 if it is gone, 422 if it cannot be opened.
    """
    served = engine.served
    if digest in (None, served.live.digest):
        return served
    live = engine.catalogue.of_digest(str(digest), name)
    if live is None or not live.release.has_network:
        raise Problem(
            410, "The release that the job began with is gone.", received=name, allowed="releases of GET /releases",
            fix="Put the release back unchanged, or send the images again.",
        )  # fmt: skip
    settings = engine.settings
    try:
        return ServedRelease(live, Predictor(live.release, settings.device, settings.threads, settings.precision))
    except (ValueError, RuntimeError) as error:
        raise Problem(422, f"The release {name!r} cannot be opened.", received=str(error)[:300]) from error
