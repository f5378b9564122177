"""Many images in one request, and jobs of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from segsort_client.parsing import Wire
from segsort_client.results.answers import Segmentation


@dataclass(frozen=True)
class Problem:
    """An error as RFC 9457 problem JSON: what is wrong, what was received, what is allowed, and how to fix it.

    Attributes:
        type: always about:blank: `title` and `status` say what kind it is.
        title: the phrase of the status.
        status: hTTP status.
        detail: what is wrong, in one sentence.
        received: what the request contained, shortened.
        allowed: what it may contain.
        fix: what to do about it.
        request_id: id of the request, also in the header X-Request-ID and in the log.
    """

    type: str
    title: str
    status: int
    detail: str
    received: Any | None = None
    allowed: Any | None = None
    fix: str | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class BatchImage:
    """One image of a batch: its answer, or why it has none.

    Attributes:
        name: name of its file, as it was sent.
        status: status that the image alone would have had.
        answer: the answer, as `segment` gives it; None: there is a problem.
        problem: why the image was not segmented; None: it was.
        retry_after: seconds to wait before the image is sent again; None: there is no problem, or it will not
            pass.
    """

    name: str
    status: int
    answer: Segmentation | None
    problem: Problem | None
    retry_after: int | None


@dataclass(frozen=True)
class BatchAnswer:
    """The answers to a batch of images.

    Attributes:
        succeeded: number of images with an answer.
        failed: number of images with a problem.
        images: the images, in the order in which they were sent.
    """

    succeeded: int
    failed: int
    images: tuple[BatchImage, ...]


@dataclass(frozen=True)
class JobImage:
    """An image of a job.

    Attributes:
        position: its place among the images that were sent, from 0.
        name: name of its file, as it was sent, with its folders in an archive.
        state: what became of it so far.
        segmentation_id: id of its answer; None: it has none yet, or the job does not keep answers.
        problem: why it failed; None: it has not failed.
    """

    position: int
    name: str
    state: str
    segmentation_id: str | None
    problem: Problem | None


@dataclass(frozen=True)
class JobImageList:
    """The images of a job: how many there are in each state, and a page of them.

    Attributes:
        waiting: number of images that wait.
        running: number of images that are being segmented.
        done: number of images that are segmented.
        failed: number of images that failed.
        images: a page of the images, in the order in which they were sent.
    """

    waiting: int
    running: int
    done: int
    failed: int
    images: tuple[JobImage, ...]


@dataclass(frozen=True)
class SegmentResult:
    """The result of a job of images: an export as a file.

    Attributes:
        format: format of the export.
        file: name of the file.
        media_type: its media type.
        size: in bytes.
        images: number of images in it.
        failed: number of images that could not be segmented.
        kept_answers: whether the answers were recorded, so that they can be explained.
        result_url: path of the file.
    """

    format: str
    file: str
    media_type: str
    size: Annotated[int, Wire("bytes")]
    images: int
    failed: int
    kept_answers: bool
    result_url: str
