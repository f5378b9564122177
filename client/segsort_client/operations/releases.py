"""Operations on releases and jobs, exports, and the state of the service."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Literal, TypeAlias

from segsort_client.errors import JobError, SegsortError
from segsort_client.flow import Flow, Sleep, operation
from segsort_client.operations.base import Asking
from segsort_client.results.answers import Segmentation, SegmentationSummary
from segsort_client.results.health import Caller, Readiness
from segsort_client.results.jobs import AcceptedJob, Job
from segsort_client.results.releases import ActivatedRelease, Comparison, ReleaseSummary, Survey
from segsort_client.strokes import id_of

Fit: TypeAlias = Literal["auto", "none", "linear", "mlp", "forest", "softmax", "ensemble"]
Activate: TypeAlias = Literal["if_better", "always", "never"]
_FIRST_POLL = 0.2  # seconds; doubled up to `poll`


class Releases(Asking):
    """Make, adapt, compare and serve releases, and wait for jobs.

    A request that starts or ends something is not repeated when its answer is lost. The error then says that it may
    have been carried out.
    """

    @operation
    def releases(self) -> Flow[tuple[ReleaseSummary, ...]]:
        """The releases in the store."""
        return self._read(tuple[ReleaseSummary, ...], "releases")

    @operation
    def release_card(self, name: str) -> Flow[dict[str, Any]]:
        """The card of a release as JSON: classes, settings, provenance, licences and metrics."""
        return self._read(dict[str, Any], "releases", name)

    @operation
    def new_release(self, name: str, *, features: str | None = None) -> Flow[ReleaseSummary]:
        """Make an empty release, to be taught. features: name of a release whose feature extractor it takes."""
        return self._post(ReleaseSummary, ("releases",), {"name": name, "features": features}, repeatable=False)

    @operation
    def activate(self, name: str) -> Flow[ActivatedRelease]:
        """Serve a release."""
        return self._post(ActivatedRelease, ("releases", name, "activate"), repeatable=True)

    @operation
    def carry(self, name: str, *, reason: str | None = None) -> Flow[Job]:
        """Carry edits of earlier releases of a name over to the one that has it now, as a job."""
        return self._post(Job, ("releases", name, "carry"), {"reason": reason}, repeatable=False)

    @operation
    def compare(
        self, a: str, b: str, segmentations: Iterable[Segmentation | SegmentationSummary | str]
    ) -> Flow[Comparison]:
        """Label stored images with two releases, without serving them."""
        body = {"a": a, "b": b, "segmentations": [id_of(one, "segmentation_id") for one in segmentations]}
        return self._post(Comparison, ("releases", "compare"), body, repeatable=True)

    @operation
    def survey(
        self, archive: bytes | str | os.PathLike[str], *, format: str = "auto", split: str | None = None
    ) -> Flow[Survey]:
        """What is in a ZIP archive of labelled images, for `build`."""
        return self._post_archive(Survey, ("releases", "survey"), archive, format=format, split=split)

    @operation
    def read_survey(self, survey: Survey | str) -> Flow[Survey]:
        """Read a survey again."""
        return self._read(Survey, "releases", "survey", id_of(survey, "survey_id"))

    @operation
    def delete_survey(self, survey: Survey | str) -> Flow[None]:
        """Delete the archive of a survey."""
        return self._nothing("DELETE", "releases", "survey", id_of(survey, "survey_id"))

    @operation
    def build(
        self, survey: Survey | str, name: str, *, classes: Mapping[str, str | None] | None = None,
        features: str | None = None, budget_s: float | None = None, reason: str | None = None,
    ) -> Flow[Job]:  # fmt: skip
        """Build a release from the archive of a survey, as a job.

        Args:
            survey: a survey or its id.
            name: of the new release.
            classes: new names of classes, or None for those to leave out.
            features: name of a release whose feature extractor is used.
            budget_s: seconds for choosing a head.
            reason: why.
        """
        body = {
            "survey_id": id_of(survey, "survey_id"), "name": name, "classes": classes and dict(classes),
            "features": features, "budget_s": budget_s, "reason": reason,
        }  # fmt: skip
        return self._post(Job, ("releases", "build"), body, repeatable=False)

    @operation
    def adapt(
        self, *, name: str | None = None, fit: Fit = "auto", activate: Activate = "if_better",
        budget_s: float | None = None, reason: str | None = None,
    ) -> Flow[Job]:  # fmt: skip
        """Fit the served release to all its exemplars, as a job in the background: see `wait`.

        Args:
            name: of the new release; None: the service chooses one.
            fit: kind of the head; auto chooses by cross-validation.
            activate: whether the new release is served.
            budget_s: seconds for choosing a head; None: the setting of the service.
            reason: why, for the log.
        """
        body = {"name": name, "fit": fit, "activate": activate, "budget_s": budget_s, "reason": reason}
        return self._post(Job, ("adapt",), body, repeatable=False)

    @operation
    def jobs(self, *, limit: int = 50) -> Flow[tuple[Job, ...]]:
        """Jobs, the newest first."""
        return self._read(tuple[Job, ...], "jobs", limit=limit)

    @operation
    def job(self, job: Job | str) -> Flow[Job]:
        """Read a job: how far it is, or how it ended."""
        return self._read(Job, "jobs", id_of(job, "job_id"))

    @operation
    def cancel(self, job: Job | str) -> Flow[Job]:
        """Cancel a job."""
        return self._post(Job, ("jobs", id_of(job, "job_id"), "cancel"), repeatable=False)

    @operation
    def accept(self, job: Job | str) -> Flow[AcceptedJob]:
        """Serve the new release of a job that has succeeded, with the edits that were made meanwhile."""
        return self._post(AcceptedJob, ("jobs", id_of(job, "job_id"), "accept"), repeatable=False)

    @operation
    def wait(
        self, job: Job | str, *, timeout: float | None = None, poll: float = 2.0,
        progress: Callable[[Job], object] | None = None,
    ) -> Flow[Job]:  # fmt: skip
        """Wait until a job has ended.

        Args:
            job: a job or its id.
            timeout: longest time in seconds; None: no limit. The job goes on after it.
            poll: longest time between two looks, seconds.
            progress: called with the job whenever it is read.

        Raises:
            JobError: if it failed, was cancelled or was interrupted.
            SegsortError: if it has not ended in time, or the service does not answer.
        """
        pause, end = min(_FIRST_POLL, poll), None if timeout is None else monotonic() + timeout
        while True:
            found = yield from self._read(Job, "jobs", id_of(job, "job_id"))
            if progress is not None:
                progress(found)
            if found.is_over:
                break
            left = float("inf") if end is None else end - monotonic()
            if left <= 0:
                raise SegsortError(
                    "The job has not ended in time.", received=f"{found.state}, {found.progress:.0%}",
                    allowed=f"{timeout:g} s", fix="Wait for it again, or cancel it.",
                )  # fmt: skip
            yield Sleep(min(pause, left))
            pause = min(2 * pause, poll)
        if found.state != "succeeded":
            raise JobError(f"The job is {found.state}.", received=found.problem, allowed="succeeded")
        return found

    @operation
    def me(self) -> Flow[Caller]:
        """Whose key it is, and what is left of its limits."""
        return self._read(Caller, "me")

    @operation
    def ready(self) -> Flow[Readiness]:
        """What the service serves. An error, if it is not ready."""
        return self._read(Readiness, "readyz")
