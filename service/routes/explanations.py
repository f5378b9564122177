"""The route that explains the label of a segment."""

from fastapi import APIRouter, Request, Response

from service.explaining.explanation import explain
from service.explaining.page import explanation_page
from service.http import wire
from service.http.budgeted import Budgeted
from service.routes.dependencies import Reader, Service, json
from service.routes.documented import SegmentId, also
from service.routes.pages import html
from service.routes.segments import find_record

router = APIRouter(route_class=Budgeted, prefix="/explain", tags=["explanations"])

_PAGE = also(
    "text/html", {"schema": {"type": "string"}}, "The explanation: JSON, or with `Accept: text/html` a page for people."
)


@router.get(
    "/{segment_id}",
    operation_id="explain",
    summary="Explain the label of a segment",
    response_model=wire.Explanation,
    responses=_PAGE,
)
def explanation(segment_id: SegmentId, request: Request, caller: Reader, engine: Service) -> Response:
    """Explain the label of a segment, with all values that are needed to recompute the vote.

    With `Accept: text/html` the answer is a page for people, which can be printed.
    """
    answer = explain(engine, find_record(engine, segment_id, caller), caller.owner)
    if "text/html" in request.headers.get("accept", ""):
        return html(explanation_page(answer))
    return json(answer)
