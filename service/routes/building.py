"""Routes that build a release from labelled images: survey an archive, then start the build."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.concurrency import contextmanager_in_threadpool
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from service.adapting.builds import BuildRequest, Builds
from service.adapting.labelled_archives import disk_problem
from service.editing.importing import check_format
from service.http import wire
from service.http.body_limit import too_large
from service.http.budgeted import Budgeted
from service.problems import CallerLeft
from service.routes.dependencies import Body, Curator, Reason, Service, author, ending_with_caller, json
from service.routes.documented import BINARY
from service.routes.jobs import job_started

router = APIRouter(route_class=Budgeted, prefix="/releases", tags=["releases"])

_BUFFER = 1 << 20  # bytes that are written at once
_FORMAT = "Format of the labels, such as coco, voc or cvat. By default, the one that is found."
_BODY = {
    "requestBody": {
        "required": True,
        "description": "A ZIP archive of the folder that a labelling tool exported, with the images.",
        "content": {"application/zip": BINARY},
    }
}
SurveyId = Annotated[str, PathParameter(description="Id of a survey.", examples=["5c" * 16])]


@router.post(
    "/survey",
    status_code=201,
    operation_id="survey_labelled_images",
    summary="Look into an archive of labelled images",
    response_model=wire.Survey,
    response_description="The archive is kept for a build.",
    openapi_extra=_BODY,
)
async def survey_labelled_images(
    request: Request,
    caller: Curator,
    engine: Service,
    format: Annotated[str, Query(description=_FORMAT)] = "auto",
    split: Annotated[str, Query(description="Part of the data, where they have parts.")] = "train",
) -> Response:
    """Unpack an archive of labelled images, and tell its format, its classes, and what would be skipped and why.

    Nothing is built yet: POST /releases/build takes the `survey_id`. The archive is kept for 24 hours, or until two
    others have been sent. POST /import adds labelled images to the served release instead, without fitting anything.
    """
    check_format(format, split)
    archives = _builds(request).archives
    known = [info.name for info in engine.live.classes if info.class_id not in engine.live.retired]
    async with contextmanager_in_threadpool(archives.receiving()) as place:
        await _write_body(request, place.archive, engine.settings.max_archive_bytes)
        async with ending_with_caller(request):
            survey = await run_in_threadpool(archives.survey, place, format, split, known)
    return json(wire.Survey.model_validate(survey), 201)


@router.get("/survey/{survey_id}", operation_id="get_survey", summary="Read a survey again", response_model=wire.Survey)
def get_survey(survey_id: SurveyId, request: Request, caller: Curator) -> Response:
    """Read what is in an archive that was sent."""
    return json(wire.Survey.model_validate(_builds(request).archives.get(survey_id)[0]))


@router.delete(
    "/survey/{survey_id}", status_code=204, operation_id="remove_survey", summary="Remove an archive that was sent",
    response_description="The archive and its survey are removed.",
)  # fmt: skip
def remove_survey(survey_id: SurveyId, request: Request, caller: Curator) -> Response:
    """Remove the labelled images of a survey. A release that was built from them stays."""
    _builds(request).archives.remove(survey_id)
    return Response(status_code=204)


class BuildBody(Body):
    """What to build."""

    survey_id: Annotated[str, Field(description="Id of the labelled images.", examples=["5c" * 16])]
    name: Annotated[
        str,
        Field(
            description="Name of the new release: 1 to 100 letters, digits, dots, dashes and underscores.",
            examples=["my-cells"],
        ),
    ]
    classes: Annotated[
        dict[str, str | None],
        Field(
            default_factory=dict,
            description="New name by class of the survey; null leaves its pixels unlabelled. Classes of one new name "
            "are merged; a class that is not given keeps its name.",
            examples=[{"nuclei": "nucleus", "debris": None}],
        ),
    ]
    features: Annotated[
        str,
        Field(
            description="What describes the pixels: `general`, `filters`, or another release with features.",
            examples=["general"],
        ),
    ] = "general"
    budget_s: Annotated[
        float | None,
        Field(ge=1, le=3600, description="Seconds for choosing a head. By default, SEGSORT_ADAPT_BUDGET_S."),
    ] = None
    reason: Reason = None


@router.post(
    "/build", status_code=202, operation_id="build_release", summary="Build a release from labelled images",
    response_model=wire.Job, response_description="The job was started.",
)  # fmt: skip
def build_release(body: BuildBody, request: Request, caller: Curator) -> Response:
    """Build a release from the labelled images of a survey, as a job in the background.

    About a fifth of the images is held out, or the part "val" of the data if there is one. The result of the job is the
    mIoU of the new release on them, beside that of the served one. The release is not served:
    POST /jobs/{job_id}/accept does that. One job runs at a time.
    """
    asked = BuildRequest(body.survey_id, body.name, body.classes, body.features, body.budget_s)
    job = _builds(request).begin(author(caller, body.reason), asked)
    return job_started(job)


def _builds(request: Request) -> Builds:
    builds: Builds = request.app.state.builds
    return builds


async def _write_body(request: Request, file: Path, most: int) -> None:
    """Write the body of a request to a file.

    Raises:
        Problem: 413 if it is too large, 408 if it took too long to arrive, 503 if the disk refuses it.
        CallerLeft: if the connection ends before the body is complete.
    """
    size, waiting = 0, bytearray()
    try:
        with file.open("wb") as opened:
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise too_large(most)
                waiting += part
                if len(waiting) >= _BUFFER:
                    await run_in_threadpool(opened.write, bytes(waiting))
                    waiting.clear()
            await run_in_threadpool(opened.write, bytes(waiting))
    except ClientDisconnect as error:
        raise CallerLeft from error
    except OSError as error:
        raise disk_problem(error) from error
