"""The route that adapts the served release."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from service.adapting.adaptations import Adaptations
from service.adapting.requests import Activate, AdaptRequest, Fit
from service.http import wire
from service.http.budgeted import Budgeted
from service.routes.dependencies import Body, Curator, Reason, author
from service.routes.jobs import job_started

router = APIRouter(route_class=Budgeted, tags=["jobs"])


class Adapt(Body):
    """How to adapt."""

    name: Annotated[
        str | None,
        Field(description="Name of the new release. By default, that of the old one, -a and the number of the edit."),
    ] = None
    fit: Annotated[Fit, Field(description="Kind of the head; auto chooses by cross-validation.")] = "auto"
    activate: Annotated[
        Activate, Field(description="Whether the new release is served: only if it is better, always, or never.")
    ] = "if_better"
    budget_s: Annotated[
        float | None,
        Field(ge=1, le=3600, description="Seconds for choosing a head. By default, SEGSORT_ADAPT_BUDGET_S."),
    ] = None
    reason: Reason = None


@router.post(
    "/adapt", status_code=202, operation_id="adapt_release", summary="Adapt the served release",
    response_model=wire.Job,
    response_description="The job was started.",
)  # fmt: skip
def adapt_release(request: Request, caller: Curator, body: Adapt | None = None) -> Response:
    """Fit the head of the served release again, to all its exemplars, as a job in the background.

    The result is a new release that begins with all exemplars. It is served at once if it is better by
    cross-validation; edits made meanwhile are carried over. Earlier answers keep their explanations. Requests are
    answered as before, perhaps more slowly. One job runs at a time; `Location` names the one under way.
    """
    adaptations: Adaptations = request.app.state.adaptations
    asked = body or Adapt()
    job = adaptations.begin(
        author(caller, asked.reason), AdaptRequest(asked.name, asked.fit, asked.activate, asked.budget_s)
    )
    return job_started(job)
