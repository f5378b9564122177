"""Exemplars: which there are, showing new ones, taking some away."""

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from service.exemplars import exemplar_crop_of, exemplar_picture, exemplar_told, exemplars_of
from service.pictures import png
from service.routes.common import (
    LARGEST,
    Body,
    Curator,
    Edits,
    Limit,
    Reader,
    Service,
    author,
    edited,
    json,
    picture_response,
    png_response,
)

router = APIRouter(prefix="/exemplars", tags=["exemplars"])


class Removal(Body):
    """Body of POST /exemplars/remove."""

    exemplar_ids: Annotated[list[str], Field(min_length=1, max_length=10_000)]
    reason: str | None = None


@router.get("")
def exemplars(
    caller: Reader,
    engine: Service,
    class_id: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
    limit: Limit = 50,
    offset: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    removed: Annotated[bool, Query(description="those that were removed")] = False,
    query: Annotated[str | None, Query(max_length=200, description="what occurs in the id or the source")] = None,
) -> Response:
    """The exemplars of the release that is served, as edits left them; those added last come first."""
    live = engine.served.live
    rows = list(exemplars_of(live, class_id, query, removed))
    told = [exemplar_told(live, row) for row in islice(rows, offset, offset + limit)]
    return json({"total": len(rows), "exemplars": [{k: v for k, v in one.items() if k != "mask"} for one in told]})


@router.get("/{exemplar_id}")
def exemplar(exemplar_id: str, caller: Reader, engine: Service) -> Response:
    """One exemplar: class, source, box and mask."""
    return json(exemplar_told(*engine.find_exemplar(exemplar_id)))


@router.get("/{exemplar_id}/image")
def image(exemplar_id: str, caller: Reader, engine: Service) -> Response:
    """The whole picture that an exemplar lies in."""
    live, row = engine.find_exemplar(exemplar_id)
    return picture_response(exemplar_picture(live, row, engine.records.images), exemplar_id)


@router.get("/{exemplar_id}/crop")
def crop(exemplar_id: str, caller: Reader, engine: Service) -> Response:
    """The part of the picture around an exemplar, its mask outlined."""
    live, row = engine.find_exemplar(exemplar_id)
    return png_response(png(exemplar_crop_of(live, row, engine.records.images, engine.settings.max_pixels)))


@router.delete("/{exemplar_id}")
def delete(exemplar_id: str, caller: Curator, engine: Service, curation: Edits, reason: str | None = None) -> Response:
    """Take an exemplar out of the live state; it stays where it explains old answers, and can be brought back."""
    edit, _ = curation.remove(author(caller, reason), [exemplar_id])
    return edited(engine, edit, 200)


@router.post("/remove")
def remove(body: Removal, caller: Curator, engine: Service, curation: Edits) -> Response:
    """Take several exemplars out in one edit; `already` says how many were gone."""
    edit, gone = curation.remove(author(caller, body.reason), body.exemplar_ids)
    return edited(engine, edit, 200, already=gone)
