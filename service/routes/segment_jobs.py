"""Routes of jobs of images: start one, list its images, read its result, and delete it."""

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from service.answering.links import job_url
from service.batching.options import JobOptions, NameRule
from service.batching.receiving import receive_images
from service.batching.results import media_type_of
from service.batching.segment_jobs import SegmentJobs
from service.http import wire
from service.http.access import Caller
from service.http.budgeted import Budgeted
from service.http.callers.spending import Charge
from service.problems import Problem
from service.records.job_images import KIND, JobImage
from service.records.jobs import Job
from service.routes.dependencies import LARGEST, Owner, Reader, Service, author, ending_with_caller, is_form, json
from service.routes.documented import BINARY, BUSY, FULL
from service.routes.exports import OPTIONS, Format
from service.routes.jobs import JobId, background, job_json, visible
from service.routes.segmentations import Segments, Voters

router = APIRouter(route_class=Budgeted, tags=["jobs"])

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The image files: a ZIP archive of files and folders, or parts of a form, in fields of any "
        "names. They are written to disk while they arrive.",
        "content": {
            "application/zip": BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "title": "JobForm",
                    "properties": {
                        "images": {
                            "type": "array",
                            "items": BINARY["schema"],
                            "description": "The image files. Any names of fields will do.",
                        }
                    },
                }
            },
        },
    }
}
_MOST_RANGES = 8
_RANGE = re.compile(r"(\d{0,18})-(\d{0,18})")
_EXPORTS = dict.fromkeys(("application/zip", "application/json", "application/xml", "text/csv"), BINARY)
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The export.", "content": _EXPORTS},
    206: {"description": "The part of the export that the header Range asks for.", "content": _EXPORTS},
}


@router.post(
    "/jobs/segment", status_code=202, operation_id="segment_in_background",
    summary="Segment many images in the background",
    response_model=wire.Job, responses={**BUSY, **FULL}, response_description="The job was started.",
    openapi_extra=_BODY,
)  # fmt: skip
async def segment_in_background(
    request: Request,
    caller: Reader,
    engine: Service,
    format: Annotated[Format, Query(description=OPTIONS["format"])] = "coco",
    join: Annotated[bool, Query(description=OPTIONS["join"])] = False,
    polygons: Annotated[bool | None, Query(description=OPTIONS["polygons"])] = None,
    single: Annotated[bool, Query(description=OPTIONS["single"])] = False,
    images: Annotated[bool, Query(description="Also export the image files.")] = False,
    keep: Annotated[
        bool,
        Query(description="Record the answers, so that GET /segmentations lists them and GET /explain explains them."),
    ] = True,
    names: Annotated[
        NameRule,
        Query(
            description="Names of the images in the export. file: those of the files; equal ones are numbered. path: "
            "with the folders of the archive, with _ in place of /."
        ),
    ] = "file",
    segments: Segments = None,
    k: Voters = None,
    release: Annotated[
        str | None, Query(description="Name of the release to use. By default, the one that is served.")
    ] = None,
    reason: Annotated[str | None, Query(description="Why, in your words, at most 1000 characters.")] = None,
) -> Response:
    """Segment the images of a ZIP archive or of a form as a job. The result is an export: `GET /jobs/{job_id}/result`.

    Every image is looked at before the answer: those that cannot be segmented are listed with their problems in
    `GET /jobs/{job_id}/images`, the others are segmented. Requests of others go first. The job goes on by itself when
    the service was stopped or killed meanwhile: each image is in the result once. Jobs run in turn; their results are
    deleted after `SEGSORT_JOBS_DAYS` days. Of a TIFF with several pages, the first is segmented.
    """
    signed = author(caller, reason)
    options = JobOptions(format, join, polygons, single, images, keep, names, segments, k, is_form(request))
    jobs, declared = segment_jobs(request), int(request.headers.get("content-length", "0") or 0)
    live = await run_in_threadpool(jobs.begin, options, release, declared)
    async with contextmanager_in_threadpool(jobs.receiving()) as folder:
        parts = await receive_images(request, folder, engine.settings, jobs.arrived)
        async with ending_with_caller(request):
            found = await run_in_threadpool(jobs.examine, folder, options, parts)
        _spend(request, found)
        job = await run_in_threadpool(jobs.add, folder, signed, live, found)
    response = json(job_json(job), 202)
    response.headers["Location"] = job_url(job.job_id)
    return response


@router.get(
    "/jobs/{job_id}/images", operation_id="list_job_images", summary="List the images of a job",
    response_model=wire.JobImageList,
)  # fmt: skip
def list_job_images(
    job_id: JobId,
    request: Request,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=1000, description="Largest number of entries on a page.")] = 100,
    after: Annotated[
        int,
        Query(ge=-1, le=LARGEST, description="Only images behind this one: the last `position` of the page before."),
    ] = -1,
    state: Annotated[
        Literal["waiting", "running", "done", "failed"] | None, Query(description="Only images in this state.")
    ] = None,
) -> Response:
    """List the images of a job of images with their states, in the order in which they were sent."""
    job, jobs = _found(request, job_id, caller), segment_jobs(request)
    found, counts = jobs.images(job.job_id, limit, min(after, 2**31 - 1), state), jobs.counts(job.job_id)
    if not counts.total:
        raise Problem(
            410, "The list of the images was deleted with the result of the job.", received=job_id,
            allowed="jobs of the last days", fix="Send the images again.",
        )  # fmt: skip
    return json(counts._asdict() | {"images": [_image_json(one) for one in found]})


@router.get(
    "/jobs/{job_id}/result", operation_id="get_job_result", summary="Read the result of a job",
    response_class=Response, responses=_FILE,
)  # fmt: skip
def get_job_result(job_id: JobId, request: Request, caller: Reader) -> Response:
    """Read the export that a job of images made. The header Range asks for a part, such as the rest of a download."""
    file = segment_jobs(request).result(_found(request, job_id, caller))
    _check_range(request.headers.get("range"), file.stat().st_size)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
    return FileResponse(file, headers=headers, media_type=media_type_of(file), filename=file.name)


@router.delete(
    "/jobs/{job_id}", status_code=204, operation_id="delete_job", summary="Delete a job of images",
    response_description="The job and its result were deleted.",
)  # fmt: skip
def delete_job(job_id: JobId, request: Request, caller: Owner) -> Response:
    """Delete a job of images that has ended, with its result. The answers that it recorded stay."""
    segment_jobs(request).delete(_found(request, job_id, caller))
    return Response(status_code=204)


def segment_jobs(request: Request) -> SegmentJobs:
    """The jobs of images of the app."""
    jobs: SegmentJobs = request.app.state.segment_jobs
    return jobs


def _found(request: Request, job_id: str, caller: Caller) -> Job:
    """A job of images.

    Raises:
        Problem: 404 if there is none that the caller sees; 409 if it is of another kind.
    """
    job = visible(background(request).get(job_id), caller)
    if job.kind != KIND:
        raise Problem(
            409, "This is no job of images.", received=job.kind, allowed=KIND, fix="Take the id from GET /jobs.",
        )  # fmt: skip
    return job


def _check_range(asked: str | None, size: int) -> None:
    """Check the header Range, whose faults Starlette answers in plain text.

    Raises:
        Problem: 400 if it is malformed, or has many ranges; 416 if it begins behind the file.
    """
    if asked is None:
        return
    parts = [part.strip() for part in asked.partition("=")[2].split(",")]
    found = [_RANGE.fullmatch(part) for part in parts]
    if not asked.strip().lower().startswith("bytes=") or len(parts) > _MOST_RANGES or None in found:
        raise _bad_range(400, asked)
    for one in filter(None, found):
        first, last = one.groups()
        if (not first and not last) or (first and last and int(first) > int(last)):
            raise _bad_range(400, asked)
        if (first and int(first) >= size) or (not first and not int(last)):
            raise _bad_range(416, asked, {"Content-Range": f"bytes */{size}"})


def _bad_range(status: int, asked: str, headers: dict[str, str] | None = None) -> Problem:
    return Problem(
        status, "The header Range does not fit the file.", received=asked[:200], headers=headers,
        allowed=f"up to {_MOST_RANGES} ranges such as bytes=0-999 inside of the file",
        fix="Leave the header out to read the whole file.",
    )  # fmt: skip


def _spend(request: Request, found: list[JobImage]) -> None:
    """Spend the images of a job, of which the request has spent one, and their pixels.

    Raises:
        LimitReached: 429.
    """
    charge: Charge | None = getattr(request.state, "charge", None)
    if charge is not None:
        usable = [one for one in found if one.problem is None]
        charge.spend_images(len(usable) - 1)
        charge.spend_pixels(sum(one.pixels for one in usable))


def _image_json(image: JobImage) -> dict[str, Any]:
    return {name: getattr(image, name) for name in ("position", "name", "state", "segmentation_id", "problem")}
