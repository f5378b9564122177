"""Jobs, and what they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segsort_client.results.batches import SegmentResult
from segsort_client.results.releases import ActivatedRelease, CarryResult


@dataclass(frozen=True)
class AdaptationResult:
    """The new release of an adaptation.

    Attributes:
        release: name of the new release, which is in `releases`.
        before: mean intersection over union, 0 to 1, by cross-validation on the images of the exemplars; None:
            they cannot be compared, for example because pixels of a class are marked in a single image.
        after: mean intersection over union, 0 to 1, by cross-validation on the images of the exemplars; None:
            they cannot be compared, for example because pixels of a class are marked in a single image.
        images: number of images with marks; None: the job is older than this field.
        better: whether `after` exceeds `before`.
        head: the head that was chosen.
        seconds: time of the fit, seconds.
        index_revision: last edit of the old release that the new one begins with.
        activated: whether it is served.
        carried_over: number of edits made on it before it was served, for edits of the old release meanwhile.
        why_not: why it is not served; None: it is.
    """

    release: str
    before: float | None
    after: float | None
    better: bool
    head: str
    seconds: float
    index_revision: int
    activated: bool
    carried_over: int
    why_not: str | None
    images: int | None = None


@dataclass(frozen=True)
class MeasuredClass:
    """IoU of one class on held-out images, 0 to 1.

    Attributes:
        name: name of the class.
        iou: of the new release; None: the class is not in these images.
        iou_compared: of the release before; None: not in these images, or nothing was compared.
    """

    name: str
    iou: float | None
    iou_compared: float | None


@dataclass(frozen=True)
class BuildResult:
    """The new release of a build, and how well it labels images that the build did not see.

    Attributes:
        release: name of the new release, which is in `releases`.
        images: number of images that it was built from.
        exemplars: number of its exemplars.
        held_out: number of images that were held out.
        rule: how these were chosen, in words.
        miou: mean of the IoU of the classes, on the held-out images; None: there are none.
        compared_with: release that was served meanwhile; None: it has no exemplars.
        miou_compared: of that release on the same images. Classes are matched by name, and one that it does not
            have counts as 0. None: no class has the same name, or nothing was compared.
        per_class: the classes of the new release.
        head: the head that was chosen.
        warnings: what a user should look at, such as classes without exemplars.
        seconds: time of the build, seconds.
    """

    release: str
    images: int
    exemplars: int
    held_out: int
    rule: str
    miou: float | None
    compared_with: str | None
    miou_compared: float | None
    per_class: tuple[MeasuredClass, ...]
    head: str
    warnings: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Job:
    """Work that outlives a request.

    Attributes:
        job_id: id of the job.
        kind: adapt, build, carry or segment; more may come.
        state: queued, running, succeeded, failed, cancelled, or interrupted: the service ended before the job did.
        release: the release that it began with.
        release_digest: SHA-256 that identifies its content; None: an older version did not record it.
        author: name of the key of the author; `local` where the service asked for no keys.
        reason: reason that the author gave; None: none.
        created: time in UTC, RFC 3339 with milliseconds.
        started: when work on it began; None: it has not begun.
        ended: when it ended; None: it has not ended.
        stage: what it is doing, or was doing last, such as features, head or images.
        done: steps of the stage that are done.
        total: steps of the stage.
        progress: progress of the whole job, 0 to 1.
        result: what it made; None until it has succeeded. Of a kind that this client does not know: the JSON.
        problem: why it failed; None: it has not failed.
    """

    job_id: str
    kind: str
    state: str
    release: str
    release_digest: str | None
    author: str
    reason: str | None
    created: str
    started: str | None
    ended: str | None
    stage: str
    done: int
    total: int
    progress: float
    result: AdaptationResult | BuildResult | CarryResult | SegmentResult | dict[str, Any] | None
    problem: str | None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever state."""
        return self.state not in ("queued", "running")


@dataclass(frozen=True)
class AcceptedJob(ActivatedRelease):
    """The result of serving the new release of a job.

    Attributes:
        carried_over: number of edits made on it before it was served, for edits of the old release meanwhile.
    """

    carried_over: int
