"""Routes of jobs: list, read and cancel them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from service.adapting.adaptations import Adaptations
from service.adapting.background import BackgroundJobs
from service.answering.links import job_url
from service.answering.rounding import rounded, rounded_json
from service.batching.segment_jobs import SegmentJobs
from service.http import wire
from service.http.access import Caller
from service.http.budgeted import Budgeted
from service.problems import Problem
from service.records.job_images import KIND
from service.records.jobs import Job
from service.records.tables import iso
from service.routes.dependencies import Curator, Limit, Owner, Reader, json

router = APIRouter(route_class=Budgeted, prefix="/jobs", tags=["jobs"])

JobId = Annotated[str, Path(description="Id of a job.", examples=["7b" * 16])]


@router.get("", operation_id="list_jobs", summary="List jobs", response_model=list[wire.Job])
def list_jobs(request: Request, caller: Reader, limit: Limit = 50) -> Response:
    """List jobs, the newest first. A reader sees no jobs of images of other keys."""
    return json([job_json(job) for job in background(request).newest(limit, caller.owner)])


@router.get("/{job_id}", operation_id="get_job", summary="Read a job", response_model=wire.Job)
def get_job(job_id: JobId, request: Request, caller: Reader) -> Response:
    """Read a job: how far it is, or how it ended."""
    return json(job_json(visible(background(request).get(job_id), caller)))


@router.post("/{job_id}/cancel", operation_id="cancel_job", summary="Cancel a job", response_model=wire.Job)
def cancel_job(job_id: JobId, request: Request, caller: Owner) -> Response:
    """Cancel a job. Nothing of it is kept, but the answers that a job of images recorded.

    A job of another process ends within seconds after the answer. Jobs that make releases need a curator's key.
    """
    job = visible(background(request).get(job_id), caller)
    if job.kind != KIND:
        _check_curator(caller)
    elif job.is_under_way:
        segments: SegmentJobs = request.app.state.segment_jobs
        segments.cancel(job)
        return json(job_json(background(request).get(job_id)))
    return json(job_json(background(request).cancel(job_id)))


@router.post(
    "/{job_id}/accept", operation_id="accept_job", summary="Serve the new release of a job",
    response_model=wire.AcceptedJob,
)  # fmt: skip
def accept_job(job_id: JobId, request: Request, caller: Curator) -> Response:
    """Serve the new release of a job that has succeeded.

    Edits made on the old release since an adaptation began are made on the new one too, unlike with
    POST /releases/{name}/activate.
    """
    adaptations: Adaptations = request.app.state.adaptations
    return json(adaptations.accept(job_id, caller.name))


def job_started(job: Job) -> Response:
    """The answer to a request that started a job."""
    response = json(job_json(job), 202)
    response.headers["Location"] = job_url(job.job_id)
    return response


def job_json(job: Job) -> wire.Job:
    """A job as it is answered."""
    return wire.Job.model_validate(
        {
            "job_id": job.job_id,
            "kind": job.kind,
            "state": job.state,
            "release": job.release,
            "release_digest": job.release_digest,
            "author": job.author,
            "reason": job.reason,
            "created": iso(job.created),
            "started": None if job.started is None else iso(job.started),
            "ended": None if job.ended is None else iso(job.ended),
            "stage": job.stage,
            "done": job.done,
            "total": job.total,
            "progress": rounded(job.progress),
            "result": _result_json(job),
            "problem": job.problem,
        }
    )


def visible(job: Job, caller: Caller) -> Job:
    """A job, if the caller may see it: a reader does not see jobs of images of other keys.

    Raises:
        Problem: 404.
    """
    if job.kind == KIND and caller.owner not in (None, job.author):
        raise Problem(
            404, "There is no such job.", received=job.job_id, allowed="the job_id of a job",
            fix="Take the id from GET /jobs.",
        )  # fmt: skip
    return job


def background(request: Request) -> BackgroundJobs:
    """The background jobs of the app."""
    jobs: BackgroundJobs = request.app.state.jobs
    return jobs


def _result_json(job: Job) -> Any:
    found = rounded_json(job.result)
    return found if found is None or job.kind != KIND else found | {"result_url": f"{job_url(job.job_id)}/result"}


def _check_curator(caller: Caller) -> None:
    if caller.role != "curator":
        raise Problem(
            403, "This key may read but not edit.", received=caller.role, allowed="curator",
            fix="Ask the operator for a curator's key.",
        )  # fmt: skip
