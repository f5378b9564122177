"""Why a segment has its label."""

from fastapi import APIRouter, Request, Response

from service.explaining.explanation import explain
from service.explaining.page import explanation_page
from service.routes.dependencies import Reader, Service, json
from service.routes.pages import html
from service.routes.segments import find_record

router = APIRouter(prefix="/explain", tags=["explanations"])


@router.get("/{segment_id}")
def explanation(segment_id: str, request: Request, caller: Reader, engine: Service) -> Response:
    """Why a segment got its label: everything needed to recompute it by hand. With `Accept: text/html`, as a page."""
    told = explain(engine, find_record(engine, segment_id))
    if "text/html" in request.headers.get("accept", ""):
        return html(explanation_page(told))
    return json(told)
