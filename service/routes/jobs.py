"""Routes of jobs: list, read and cancel them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from service.adapting.adaptations import Adaptations
from service.answering.rounding import rounded, rounded_json
from service.http import wire
from service.records.jobs import Job
from service.records.tables import iso
from service.routes.dependencies import Curator, Limit, Reader, json

router = APIRouter(prefix="/jobs", tags=["jobs"])

JobId = Annotated[str, Path(description="Id of a job.", examples=["7b" * 16])]


@router.get("", operation_id="list_jobs", summary="List jobs", response_model=list[wire.Job])
def list_jobs(request: Request, caller: Reader, limit: Limit = 50) -> Response:
    """List jobs, the newest first."""
    return json([job_json(job) for job in _adaptations(request).newest(limit)])


@router.get("/{job_id}", operation_id="get_job", summary="Read a job", response_model=wire.Job)
def get_job(job_id: JobId, request: Request, caller: Reader) -> Response:
    """Read a job: how far it is, or how it ended."""
    return json(job_json(_adaptations(request).get(job_id)))


@router.post("/{job_id}/cancel", operation_id="cancel_job", summary="Cancel a job", response_model=wire.Job)
def cancel_job(job_id: JobId, request: Request, caller: Curator) -> Response:
    """Cancel a job. Nothing of it is kept. A job of another process ends within seconds after the answer."""
    return json(job_json(_adaptations(request).cancel(job_id)))


def job_json(job: Job) -> wire.Job:
    """A job as it is answered."""
    return wire.Job.model_validate(
        {
            "job_id": job.job_id,
            "kind": job.kind,
            "state": job.state,
            "release": job.release,
            "author": job.author,
            "reason": job.reason,
            "created": iso(job.created),
            "started": None if job.started is None else iso(job.started),
            "ended": None if job.ended is None else iso(job.ended),
            "stage": job.stage,
            "done": job.done,
            "total": job.total,
            "progress": rounded(job.progress),
            "result": rounded_json(job.result),
            "problem": job.problem,
        }
    )


def _adaptations(request: Request) -> Adaptations:
    adaptations: Adaptations = request.app.state.adaptations
    return adaptations
